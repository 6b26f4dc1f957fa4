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


def start_weir_bench(*arguments):
    """Starts it beside something else; its JSON is on standard output."""
    command = [str(PROGRAM), *[str(argument) for argument in arguments]]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@dataclass(frozen=True)
class Load:
    """Options of `weir-bench traffic` that make up a row."""

    mode: str = "touch"
    sizes: tuple = (64,)
    family: int = 4
    flows: int = 1
    routes: int = 0
    services: int = 0  # 0: frames go to the receiving pod itself
    rate: float = 0
    seconds: float = 0.5
    latency: bool = False
    shares_core: bool = False  # others need the generator's core; else it comes before them

    def arguments(self):
        buffer = 2048 if max(self.sizes) <= 2048 else 16384
        options = [
            "--mode", self.mode, "--flows", self.flows, "--routes", self.routes,
            "--rate", self.rate, "--seconds", self.seconds, "--buffer", buffer,
            "--core", GENERATOR_CORE,
        ]
        for size in self.sizes:
            options += ["--size", size]
        flags = (("--latency", self.latency), ("--realtime", not self.shares_core))
        return options + [flag for flag, wanted in flags if wanted]


def traffic(device, load):
    """One run through a device that is awake."""
    ends = device.endpoints()
    idle = [argument for path in ends.idle for argument in ("--idle", path)]
    target = ends.target[load.family]
    targets = ["--target", target]
    if load.services:
        targets = ["--target", ends.vip, "--targets", load.services, "--delivered", target]
    return weir_bench(
        "traffic", "--from", ends.sender, "--to", ends.receiver,
        "--source", ends.source[load.family], "--source-mac", ends.source_mac,
        *targets, "--gateway-mac", ends.gateway_mac,
        "--receive-rings", ends.receive_rings, *idle, *load.arguments(),
    )
