"""Runs the fuzz targets of build-fuzz/ for a time, says what came of it; called by ci/fuzz
and, for a few seconds, by ci/run_tests.py."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
PROGRAMS = TREE / "build-fuzz" / "tests" / "fuzz"
SEEDS = TREE / "tests" / "fuzz" / "corpus"
WORK = TREE / "build-fuzz" / "fuzzing"
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "ASAN_SYMBOLIZER_PATH": "/usr/bin/llvm-symbolizer-14",
}
# Start, end and reports of leaks take time beyond what a run was given.
GRACE_SECONDS = 600
SHOWN_LINES = 40


def targets():
    """Names of all targets, as the seeds' folders have them."""
    return sorted(folder.name for folder in SEEDS.iterdir() if folder.is_dir())


@dataclass
class Run:
    target: str
    executions: int = 0
    coverage: int = 0
    reproducer: str = ""  # path of the input that broke something
    problem: str = ""  # one line
    output: str = ""

    def __str__(self):
        line = f"{self.target:16} {self.executions:>10} runs  {self.coverage:>6} edges"
        return f"{line}  {self.problem or 'nothing found'}"


def last_number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def problem_of(output, code):
    """The line that says what broke."""
    for pattern in (r".*: broken: .*", r".*runtime error: .*", r"SUMMARY: .*", r".*ERROR: .*"):
        found = re.search(pattern, output)
        if found:
            return found[0].strip()
    return f"ended with status {code}"


def command_of(target, seconds, folder, artifacts):
    command = ["nice", "-n", "5", PROGRAMS / f"fuzz-{target}", f"-max_total_time={seconds}"]
    # Inputs take milliseconds, but the clock also runs while the machine does other things.
    command += ["-timeout=300", "-rss_limit_mb=2048", "-print_final_stats=1", "-max_len=8192"]
    command += [f"-artifact_prefix={artifacts}/{target}-"]
    dictionary = SEEDS.parent / f"{target}.dict"
    if dictionary.exists():
        command.append(f"-dict={dictionary}")
    return [str(part) for part in (*command, folder, SEEDS / target)]


def fuzz(target, seconds):
    """New inputs are kept in the work folder from run to run; the seeds are only read."""
    folder, artifacts = WORK / target, WORK / "crashes"
    folder.mkdir(parents=True, exist_ok=True)
    artifacts.mkdir(parents=True, exist_ok=True)
    run = Run(target)
    environment = os.environ | SANITIZER_OPTIONS
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(command_of(target, seconds, folder, artifacts), env=environment,
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            code = process.wait(seconds + GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        log.seek(0)
        run.output = log.read()
    run.executions = last_number(r"stat::number_of_executed_units: (\d+)", run.output)
    run.coverage = last_number(r"cov: (\d+)", run.output)
    if code != 0:
        run.problem = problem_of(run.output, code)
        written = re.search(r"Test unit written to (\S+)", run.output)
        run.reproducer = written[1] if written else ""
    return run


def run_all(names, seconds, each=print):
    """Two at once; `each` is called with every Run as it ends."""
    with ThreadPoolExecutor(2) as pool:
        runs = []
        for run in pool.map(lambda name: fuzz(name, seconds), names):
            each(run)
            runs.append(run)
    return runs


def show_failure(run):
    """Says nothing about a run without findings."""
    if not run.problem:
        return
    print(f"--- {run.target}: {run.problem}")
    print("\n".join(run.output.splitlines()[-SHOWN_LINES:]))
    if run.reproducer:
        program = (PROGRAMS / f"fuzz-{run.target}").relative_to(TREE)
        print(f"again with: {program} {Path(run.reproducer).relative_to(TREE)}")


def merge(target):
    """Copies what covers more than the seeds do into the tree."""
    command = [PROGRAMS / f"fuzz-{target}", "-merge=1", "-max_len=512", SEEDS / target, WORK / target]
    environment = os.environ | SANITIZER_OPTIONS
    before = len(list((SEEDS / target).iterdir()))
    subprocess.run([str(part) for part in command], env=environment, check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
    print(f"{target}: {len(list((SEEDS / target).iterdir())) - before} inputs added")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="ci/fuzz")
    parser.add_argument("--merge", action="store_true",
                        help="keep what covers new code in tests/fuzz/corpus")
    parser.add_argument("seconds", nargs="?", type=int, default=60, help="for each target")
    parser.add_argument("target", nargs="*", help="of " + ", ".join(targets()))
    arguments = parser.parse_args()
    unknown = set(arguments.target) - set(targets())
    if unknown:
        parser.error(f"unknown target {min(unknown)}; choose from {', '.join(targets())}")
    return arguments


def main():
    arguments = parse_arguments()
    names = arguments.target or targets()
    runs = run_all(names, arguments.seconds, each=lambda run: print(run, flush=True))
    failed = [run for run in runs if run.problem]
    for run in runs:
        show_failure(run)
    if arguments.merge:
        for run in runs:
            if not run.problem:
                merge(run.target)
    print(f"{len(runs)} targets, {len(failed)} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
