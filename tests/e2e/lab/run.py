"""Running programs and waiting for conditions, always with a deadline."""

import json
import subprocess
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[3]


class CommandFailed(AssertionError):
    """A program ended in another way than the caller needs; shows what it said."""


def run(*command, check=True, timeout=60, text=True, **options):
    """Runs a program to its end; the result has stdout and stderr as text."""
    command = [str(part) for part in command]
    done = subprocess.run(
        command, capture_output=True, text=text, timeout=timeout, check=False, **options
    )
    if check and done.returncode != 0:
        raise CommandFailed(
            f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done


def run_json(*command, **options):
    return json.loads(run(*command, **options).stdout)


def wait_for(condition, seconds, what):
    """Returns the condition's first true value; fails with `what` when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def stop(process, seconds=10):
    """Ends a child politely, then by force; closes its pipes."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(seconds)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()
