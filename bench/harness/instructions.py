"""Instructions per packet of fixed workloads (bench/instructions/), counted by callgrind.

They do not depend on the clock or on other load, so a slower program shows even where a
rate would not. They depend on the compiler and on the instruction sets that valgrind
offers, which are AVX2 and below; the stored figures are for g++ 12 and AVX2.
"""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .machine import cpuinfo

STORED = Path(__file__).resolve().parents[1] / "instructions.json"
TOLERANCE = 0.05
_ROUNDS = 20
_BATCH = 64  # packets a round


def missing():
    """Why this machine cannot count, or None."""
    if not shutil.which("valgrind"):
        return "valgrind is missing (apt install valgrind)"
    if "avx2" not in cpuinfo("flags").split():
        return "the stored figures are for processors with AVX2"
    return None


def stored():
    return json.loads(STORED.read_text())


def count(program, workload):
    """Instructions a packet."""
    with tempfile.NamedTemporaryFile(prefix="weir-callgrind-") as out:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}",
             "--toggle-collect=weir_measured_round", program, workload, str(_ROUNDS)],
            capture_output=True, text=True, check=False, timeout=120,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{workload} failed under valgrind:\n{done.stderr[-2000:]}")
        total = re.search(r"^summary: (\d+)", Path(out.name).read_text(), re.MULTILINE)
    if not total or int(total[1]) == 0:
        raise RuntimeError(f"{workload}: callgrind counted nothing")
    return int(total[1]) / (_ROUNDS * _BATCH)


def regression(counted, before):
    """What is wrong with a count, or None."""
    if counted <= before * (1 + TOLERANCE):
        return None
    return (f"{counted:.1f} instructions a packet, {counted / before - 1:.0%} more than the stored"
            f" {before:.1f}; if the new work is worth it: bench/count-instructions --store")
