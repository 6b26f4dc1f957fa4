"""The generator and sink, weir-bench (bench/traffic/), run once per trial."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.run import TREE, CommandFailed

from .machine import GENERATOR_CORE

PROGRAM = Path(os.environ.get("WEIR_BUILD_DIR") or TREE / "build") / "bench/traffic/weir-bench"


def weir_bench(*arguments, timeout=120):
    """Runs the generator; its JSON."""
    command = [str(PROGRAM), *[str(argument) for argument in arguments]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Load:
    """Options of `weir-bench traffic` that make up a row."""

    mode: str = "touch"
    sizes: tuple = (64,)
    family: int = 4
    flows: int = 1
    routes: int = 0
    rate: float = 0
    seconds: float = 0.5
    latency: bool = False

    def arguments(self):
        buffer = 2048 if max(self.sizes) <= 2048 else 16384
        options = [
            "--mode", self.mode, "--flows", self.flows, "--routes", self.routes,
            "--rate", self.rate, "--seconds", self.seconds, "--buffer", buffer,
            "--core", GENERATOR_CORE, "--realtime",
        ]
        for size in self.sizes:
            options += ["--size", size]
        return options + (["--latency"] if self.latency else [])


def traffic(device, load):
    """One run through a device that is awake."""
    ends = device.endpoints()
    idle = [argument for path in ends.idle for argument in ("--idle", path)]
    return weir_bench(
        "traffic", "--from", ends.sender, "--to", ends.receiver,
        "--source", ends.source[load.family], "--source-mac", ends.source_mac,
        "--target", ends.target[load.family], "--gateway-mac", ends.gateway_mac,
        *idle, *load.arguments(),
    )
