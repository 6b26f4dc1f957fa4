"""Programs that die at each of their named places; needs builds with fault injection."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from lab.reports import pytest_configure, pytest_runtest_makereport  # noqa: E402, F401
