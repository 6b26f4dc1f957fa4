#!/usr/bin/python3
"""The tests of bench/ that are written in Python, as one test program."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import pytest_program  # noqa: E402

if __name__ == "__main__":
    sys.exit(pytest_program.main(__file__))
