"""Runs a folder of pytest files as one test program that reports like a GoogleTest binary.

GTEST_OUTPUT=xml:<file or directory/> asks for a report of every case, as it does there.
Each area has a script of its own that calls main(__file__): reports bear its name.
"""

import os
import pathlib
import sys

SKIPPED = 77  # meson's exit status for it


def report_path(wanted, script):
    path = wanted.removeprefix("xml:")
    return path + script.name + ".xml" if path.endswith("/") else path


def main(script):
    script = pathlib.Path(script)
    try:
        import pytest
    except ImportError:
        print("skipped: pytest is missing (apt install python3-pytest)")
        return SKIPPED
    sys.dont_write_bytecode = True
    arguments = ["-v", "-p", "no:cacheprovider", str(script.parent)]
    wanted = os.environ.get("GTEST_OUTPUT", "")
    if wanted.startswith("xml:"):
        arguments.append("--junitxml=" + report_path(wanted, script))
    return pytest.main(arguments + sys.argv[1:])
