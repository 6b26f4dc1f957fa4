"""Builds the variants, runs the tests and adds up their results; called by ci/test."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import fuzz

TREE = Path(__file__).resolve().parents[1]
RESULTS = TREE / "build" / "test-results"
# Folders of tests/ that are no unit tests.
PYTEST_AREAS = ("e2e", "hostile", "crash")
FAULT_AREAS = ("crash",)  # need a variant with fault injection: asan
FUZZ_SECONDS = 10  # for each target
SANITIZER_OPTIONS = {
    # Not detect_stack_use_after_return: g++ 12 aligns variables on its fake stack to 32
    # bytes only, and packets need 64.
    "ASAN_OPTIONS": "detect_stack_use_after_return=0:strict_string_checks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


@dataclass
class Totals:
    passed: int = 0
    failures: list = field(default_factory=list)
    skips: list = field(default_factory=list)

    def add(self, other):
        self.passed += other.passed
        self.failures += other.failures
        self.skips += other.skips

    def __str__(self):
        return f"{self.passed} passed, {len(self.failures)} failed, {len(self.skips)} skipped"


def first_line(text):
    """What it says; GoogleTest puts the place in the source on a line before it."""
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    lines = [line for line in lines if not re.fullmatch(r"\S+:\d+", line)] or lines
    return lines[0] if lines else "no reason given"


def read_xml(path, phase):
    """GoogleTest's and pytest's files agree in the parts read here."""
    totals = Totals()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{phase}: {case.get('classname')}.{case.get('name')}"
        problem = case.find("failure") if case.find("failure") is not None else case.find("error")
        skip = case.find("skipped")
        if problem is not None:
            totals.failures.append(f"{name}: {first_line(problem.get('message') or problem.text)}")
        elif skip is not None or case.get("status") == "notrun":
            reason = skip.get("message") if skip is not None else "disabled"
            totals.skips.append(f"{name}: {first_line(reason)}")
        else:
            totals.passed += 1
    return totals


def run(command, **options):
    return subprocess.run([str(part) for part in command], check=False, **options).returncode


def step(text):
    print(f"==> {text}", flush=True)


def area_of(program):
    """The folder below tests/ that a test comes from."""
    parts = program.parts
    return parts[parts.index("tests") + 1] if "tests" in parts[:-1] else ""


def meson_tests(folder, only, suite):
    """Tests of a build folder as meson knows them, those of the wanted areas."""
    listing = subprocess.run(
        ["meson", "introspect", "--tests", folder], check=True, capture_output=True, text=True
    )
    chosen = []
    for test in json.loads(listing.stdout):
        program = Path(test["cmd"][0])
        suites = [name.rsplit(":", 1)[-1] for name in test["suite"]]
        if (not only or area_of(program) in only) and (suite is None or suite in suites):
            chosen.append((test["name"], program))
    return chosen


def meson_log(folder):
    """Result and output of each test in the last `meson test`."""
    lines = (folder / "meson-logs" / "testlog.json").read_text().splitlines()
    # The log says "project:suite / name".
    return {entry["name"].rsplit(" / ", 1)[-1]: entry for entry in map(json.loads, lines)}


def collect_unit(phase, folder, results, tests):
    totals = Totals()
    log = meson_log(folder)
    for name, program in tests:
        entry = log.get(name, {"result": "MISSING", "stdout": ""})
        path = results / f"{program.name}.xml"
        cases = read_xml(path, phase) if path.exists() else Totals()
        if entry["result"] == "SKIP":
            cases.skips.append(f"{phase}: {name}: skipped by meson")
        elif entry["result"] != "OK" and not cases.failures:
            # It crashed, hung, or a sanitizer stopped it before it could report.
            cases.failures.append(f"{phase}: {name}: {entry['result']}")
        elif entry["result"] == "OK" and not path.exists():
            cases.passed += 1
        if entry["result"] not in ("OK", "SKIP"):
            output = (entry.get("stdout") or "") + (entry.get("stderr") or "")
            print(f"--- {phase}: {name}\n{output[-8000:]}", flush=True)
        totals.add(cases)
    return totals


def unit_phase(variant, only, suite=None):
    """One variant: build what its tests need, run them."""
    phase = "unit" if variant == "release" else variant
    folder = TREE / ("build" if variant == "release" else f"build-{variant}")
    build = TREE / "ci" / "build"
    if suite is not None and not (folder / "build.ninja").exists():
        run([build, variant, "build.ninja"])
    targets = []
    if suite is not None:
        chosen = meson_tests(folder, only, suite)
        targets = [program.relative_to(folder) for _, program in chosen]
    if run([build, variant, *targets]) != 0:
        return Totals(failures=[f"{phase}: the {variant} build failed"])
    tests = meson_tests(folder, only, suite)
    if not tests:
        return Totals()
    results = RESULTS / phase
    shutil.rmtree(results, ignore_errors=True)
    step(f"{phase}: {len(tests)} programs")
    environment = os.environ | SANITIZER_OPTIONS | {"GTEST_OUTPUT": f"xml:{results}/"}
    command = ["meson", "test", "-C", folder, "--no-rebuild", "--quiet"]
    command += ["--timeout-multiplier", "1" if variant == "release" else "5"]
    run(command + [name for name, _ in tests], env=environment, stdout=subprocess.DEVNULL)
    return collect_unit(phase, folder, results, tests)


def pytest_phase(area, variant):
    """Tests of whole processes, in network namespaces."""
    phase = area if variant == "release" else f"{area}-{variant}"
    if os.geteuid() != 0:
        return Totals(skips=[f"{phase}: needs root for network namespaces"])
    step(phase)
    RESULTS.mkdir(parents=True, exist_ok=True)
    report = RESULTS / f"{phase}.xml"
    report.unlink(missing_ok=True)
    folder = TREE / ("build" if variant == "release" else f"build-{variant}")
    environment = os.environ | SANITIZER_OPTIONS | {"WEIR_BUILD_DIR": str(folder)}
    command = [sys.executable, "-m", "pytest", TREE / "tests" / area, f"--junitxml={report}"]
    command += ["-q", "--tb=short", "-p", "no:cacheprovider"]
    if variant != "release":
        command += ["-m", "not release_only"]
    code = run(command, env=environment)
    if not report.exists():
        return Totals(failures=[f"{phase}: pytest ended with status {code} and no report"])
    totals = read_xml(report, phase)
    if code not in (0, 5) and not totals.failures:
        totals.failures.append(f"{phase}: pytest ended with status {code}")
    return totals


def fuzz_phase():
    """Each target counts as one test."""
    if run([TREE / "ci" / "build", "fuzz"]) != 0:
        return Totals(failures=["fuzz: the fuzz build failed"])
    step(f"fuzz: {len(fuzz.targets())} targets, {FUZZ_SECONDS} s each")
    totals = Totals()
    for result in fuzz.run_all(fuzz.targets(), FUZZ_SECONDS, each=fuzz.show_failure):
        if result.problem:
            where = f"; reproducer {result.reproducer}" if result.reproducer else ""
            totals.failures.append(f"fuzz: {result.target}: {result.problem}{where}")
        else:
            totals.passed += 1
    return totals


def parse_arguments():
    areas = sorted(path.name for path in (TREE / "tests").iterdir() if path.is_dir())
    parser = argparse.ArgumentParser(prog="ci/test")
    parser.add_argument("--fast", action="store_true", help="no sanitizer builds, no fuzzing")
    parser.add_argument("--only", action="append", metavar="AREA", choices=areas, default=[],
                        help="one of " + ", ".join(areas))
    return parser.parse_args()


def phases(arguments):
    """The work in order, as functions that return Totals."""
    only = arguments.only
    unit = [area for area in only if area not in (*PYTEST_AREAS, "fuzz")]
    wants_unit = bool(unit) or not only
    processes = [area for area in PYTEST_AREAS if not only or area in only]

    def of_variant(variant):
        # Even for end-to-end tests alone: it builds what they run.
        if wants_unit or processes:
            yield lambda: unit_phase(variant, unit if wants_unit else ["-"])
        for area in processes:
            if variant == "release" and area in FAULT_AREAS:
                continue
            yield lambda area=area: pytest_phase(area, variant)

    yield from of_variant("release")
    if arguments.fast:
        return
    yield from of_variant("asan")
    if wants_unit:
        yield lambda: unit_phase("tsan", unit, suite="concurrent")
    if not only or "fuzz" in only:
        yield fuzz_phase


def main():
    totals = Totals()
    started = time.monotonic()
    for phase in phases(parse_arguments()):
        totals.add(phase())
    print()
    for skip in totals.skips:
        print(f"skipped  {skip}")
    for failure in totals.failures:
        print(f"FAILED   {failure}")
    print(f"{int(time.monotonic() - started)} s; results in {RESULTS.relative_to(TREE)}")
    print(totals)
    return 1 if totals.failures else 0


if __name__ == "__main__":
    sys.exit(main())
