"""What the machine is, and what disturbed a trial on it."""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

DEVICE_CORE = 1
GENERATOR_CORE = 0


def cpuinfo(key):
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(key):
            return line.split(":", 1)[1].strip()
    return ""


def steal_ticks():
    """Hundredths of a second that the host took from each core; column 8 in proc(5)."""
    lines = Path("/proc/stat").read_text().splitlines()
    return {
        int(line.split()[0][3:]): int(line.split()[8])
        for line in lines
        if line.startswith("cpu") and line[3].isdigit()
    }


def _status(path, key):
    for line in path.read_text().splitlines():
        if line.startswith(key):
            return line.split(":", 1)[1].strip()
    return ""


def pinned_threads(pid, core):
    """Threads of a process that may run on this core alone: its workers."""
    threads = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        if _status(task / "status", "Cpus_allowed_list") == str(core):
            threads.append(task)
    return threads


@dataclass
class Disturbance:
    """What others took from the device's worker during one trial."""

    switches: int  # involuntary
    waited: float  # seconds that it was ready to run and did not
    steal: int  # ticks, of both cores


class Watch:
    """Counts from its making to disturbance()."""

    def __init__(self, pid, core=DEVICE_CORE):
        self.threads = pinned_threads(pid, core)
        self.before = self._totals()
        self.steal = steal_ticks()

    def _totals(self):
        key = "nonvoluntary_ctxt_switches"
        switches = sum(int(_status(task / "status", key)) for task in self.threads)
        waited = sum(int((task / "schedstat").read_text().split()[1]) for task in self.threads)
        return switches, waited / 1e9

    def disturbance(self):
        steal = steal_ticks()
        cores = (DEVICE_CORE, GENERATOR_CORE)
        now = self._totals()
        return Disturbance(
            now[0] - self.before[0],
            now[1] - self.before[1],
            sum(steal.get(core, 0) - self.steal.get(core, 0) for core in cores),
        )


def prefer(pid, core=DEVICE_CORE):
    """Puts a device's workers before ordinary processes. The kernel still serves those
    after 0.95 s of starvation, so undisturbed trials are shorter than that."""
    for task in pinned_threads(pid, core):
        os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(1))


def _first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return ""
    return (done.stdout.splitlines() or [""])[0]


def facts():
    """The part of a result that says where it was measured."""
    return {
        "cpu": cpuinfo("model name"),
        "model": f"family {cpuinfo('cpu family')} model {cpuinfo('model')}",
        "mhz": cpuinfo("cpu MHz"),
        "cores": len(steal_ticks()),
        "flags": [flag for flag in ("avx2", "avx512f") if flag in cpuinfo("flags").split()],
        "hypervisor": "hypervisor" in cpuinfo("flags").split(),
        "kernel": platform.release(),
        "compiler": _first_line("c++", "--version"),
        "dpdk": _first_line("pkg-config", "--modversion", "libdpdk"),
    }
