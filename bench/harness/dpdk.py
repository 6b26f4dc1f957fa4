"""DPDK's own forwarders between two net_memif ports, the rivals of weir's memif ports."""

import ipaddress
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from lab.run import stop, wait_for

from . import l3fwd
from .devices import MEMORY_MIB, SOURCE_MAC, TARGET, TARGET_MAC, Device, Endpoints
from .hugepages import Hugepages
from .machine import DEVICE_CORE, GENERATOR_CORE

RING = 1024


class DpdkDevice(Device):
    """A DPDK program with two net_memif ports in the server's role."""

    ready = ""
    lcores = f"0@{GENERATOR_CORE},1@{DEVICE_CORE}"

    def __init__(self):
        self.pages = Hugepages(MEMORY_MIB)
        self.hugepages = self.pages.available
        self.home = Path(tempfile.mkdtemp(prefix="weir-bench-"))
        self.log = self.home / "log"
        self.command = (*self.program(), *self.eal(), "--", *self.options())
        self.process = None
        try:
            self._start()
            self.pause()
        except BaseException:
            self.close()
            raise

    def program(self):
        raise NotImplementedError

    def options(self):
        raise NotImplementedError

    def socket(self, port):
        return str(self.home / f"{port}.sock")

    def eal(self):
        memory = ("--in-memory",) if self.hugepages else ("--no-huge", "--no-shconf")
        vdevs = [
            f"--vdev=net_memif{port},role=server,socket={self.socket(port)},socket-abstract=no"
            for port in (0, 1)
        ]
        return (
            f"--lcores={self.lcores}", *memory, "-m", str(MEMORY_MIB),
            "--no-pci", "--no-telemetry", f"--file-prefix={self.home.name}", *vdevs,
        )

    def _start(self):
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["stdbuf", "-oL", *self.command], stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        wait_for(self._is_ready, 30, f"{self.name} to start; it said {self.log}")

    def _is_ready(self):
        text = self.log.read_text(errors="replace")
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended:\n{text[-2000:]}")
        return self.ready in text

    def endpoints(self):
        return Endpoints(self.socket(0), self.socket(1))

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def worker_pid(self):
        return self.process.pid

    def revive(self):
        # DPDK's memif driver unmaps a client's memory under the forwarding thread when the
        # client leaves, so these programs sometimes crash between two trials.
        if self.process.poll() is None:
            return False
        for port in (0, 1):
            Path(self.socket(port)).unlink(missing_ok=True)
        self._start()
        return True

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.resume()
            stop(self.process)
        self.pages.close()
        shutil.rmtree(self.home, ignore_errors=True)


class Testpmd(DpdkDevice):
    """testpmd: `io` moves frames unseen, `mac` writes their Ethernet header."""

    ready = "testpmd> "

    def __init__(self, mode):
        self.mode = mode
        self.name = f"testpmd-{mode}"
        super().__init__()

    def _start(self):
        super()._start()
        self.process.stdin.write(b"start\n")
        self.process.stdin.flush()
        wait_for(lambda: "packet forwarding" in self.log.read_text(), 10, "testpmd's start")

    @classmethod
    def missing(cls):
        return None if shutil.which("dpdk-testpmd") else "package dpdk-dev is not installed"

    def program(self):
        return ("dpdk-testpmd",)

    def options(self):
        return (
            "-i", "--nb-cores=1", f"--forward-mode={self.mode}", "--burst=64", f"--rxd={RING}",
            f"--txd={RING}", "--total-num-mbufs=16384", "--no-flush-rx", "--no-lsc-interrupt",
        )


class L3fwd(DpdkDevice):
    """DPDK's example router with its LPM table; see l3fwd.py for what was changed in it."""

    name = "l3fwd"
    ready = "entering main loop"
    # It sends on the queue of its lcore's number among all, and a client offers one queue.
    lcores = f"1@{DEVICE_CORE}"

    @classmethod
    def missing(cls):
        return None if l3fwd.EXAMPLES.exists() else "package dpdk-doc is not installed"

    def program(self):
        return (str(l3fwd.build()),)

    def options(self):
        rules = {4: ("32.0.0.0/3", TARGET[4] + "/32"), 6: ("2a00::/8", TARGET[6] + "/128")}
        for version, prefixes in rules.items():
            text = "".join(f"R{self._spelled(prefix)} 1\n" for prefix in prefixes)
            (self.home / f"routes{version}").write_text(text)
        return (
            "-P", "--lookup=lpm", "-p", "0x3", "--config=(0,0,1),(1,0,1)", "--parse-ptype",
            f"--rx-queue-size={RING}", f"--tx-queue-size={RING}",
            f"--eth-dest=0,{SOURCE_MAC}", f"--eth-dest=1,{TARGET_MAC}",
            f"--rule_ipv4={self.home}/routes4", f"--rule_ipv6={self.home}/routes6",
        )

    @staticmethod
    def _spelled(prefix):
        """l3fwd wants all eight groups of an IPv6 address."""
        if ":" not in prefix:
            return prefix
        network = ipaddress.ip_network(prefix)
        return f"{network.network_address.exploded}/{network.prefixlen}"
