#!/usr/bin/python3
"""Runs the black-box suite as one test program that reports like a GoogleTest binary.

GTEST_OUTPUT=xml:<file or directory/> asks for a report of every case, as it does there.
"""

import os
import pathlib
import sys

SKIPPED = 77  # meson's exit status for it


def report_path(wanted):
    path = wanted.removeprefix("xml:")
    return path + pathlib.Path(__file__).name + ".xml" if path.endswith("/") else path


def main():
    try:
        import pytest
    except ImportError:
        print("skipped: pytest is missing (apt install python3-pytest)")
        return SKIPPED
    sys.dont_write_bytecode = True
    arguments = ["-v", "-p", "no:cacheprovider", str(pathlib.Path(__file__).parent)]
    wanted = os.environ.get("GTEST_OUTPUT", "")
    if wanted.startswith("xml:"):
        arguments.append("--junitxml=" + report_path(wanted))
    return pytest.main(arguments + sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
