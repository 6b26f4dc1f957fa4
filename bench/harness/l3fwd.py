"""DPDK's l3fwd, built from the example sources that Debian packages (dpdk-doc)."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

from lab.run import TREE, run

EXAMPLES = Path("/usr/share/dpdk/examples")
_FOLDER = TREE / "build" / "bench" / "l3fwd"


def _sources():
    """The C files that its Makefile names."""
    makefile = (EXAMPLES / "l3fwd/Makefile").read_text()
    lines = re.findall(r"^SRCS-y \+?:?= (.*)$", makefile, re.MULTILINE)
    return [name for line in lines for name in line.split()]


def build():
    """The program; built once. Only one thing differs from the packaged source: it asks
    for no receive checksum offload, which no memif port offers."""
    program = _FOLDER / "l3fwd"
    if program.exists():
        return program
    shutil.rmtree(_FOLDER, ignore_errors=True)
    shutil.copytree(EXAMPLES / "l3fwd", _FOLDER)
    main = _FOLDER / "main.c"
    text, count = re.subn(
        r"\.offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM", ".offloads = 0", main.read_text()
    )
    if count != 1:
        raise RuntimeError("l3fwd's main.c has changed; look for its receive offloads")
    main.write_text(text)
    flags = shlex.split(run("pkg-config", "--cflags", "libdpdk").stdout)
    libraries = shlex.split(run("pkg-config", "--libs", "libdpdk").stdout)
    # As its Makefile does, and for this very processor, in l3fwd's favour.
    run(
        "cc", "-O3", "-w", *flags, "-march=native", "-DALLOW_EXPERIMENTAL_API",
        f"-I{EXAMPLES}/common", *[_FOLDER / name for name in _sources()],
        "-o", program, *libraries, timeout=300,
    )
    return program
