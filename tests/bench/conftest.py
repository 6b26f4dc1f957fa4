import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TREE / "bench"), str(TREE / "tests" / "e2e")]
