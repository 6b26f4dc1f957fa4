"""Open vSwitch on DPDK as a router: one OpenFlow rule a family that writes both MAC addresses
and lowers the TTL, between two net_memif ports."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from lab.run import run, stop, wait_for

from .devices import MEMORY_MIB, TARGET_MAC, Device, Endpoints
from .hugepages import Hugepages
from .machine import DEVICE_CORE, GENERATOR_CORE

_VSWITCHD = Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_GATEWAY_MAC = "02:77:65:69:72:01"


class Ovs(Device):
    name = "OVS-DPDK"

    @classmethod
    def missing(cls):
        return None if _VSWITCHD.exists() else "package openvswitch-switch-dpdk is not installed"

    def __init__(self):
        self.home = Path(tempfile.mkdtemp(prefix="weir-bench-"))
        self.pages = Hugepages(MEMORY_MIB)
        self.hugepages = self.pages.available
        self.started = []
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _spawn(self, *command):
        folders = {f"OVS_{name}DIR": str(self.home) for name in ("RUN", "LOG", "DB")}
        with open(self.home / "log", "ab") as log:
            self.started.append(subprocess.Popen(
                [str(part) for part in command], cwd=self.home, env=os.environ | folders,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def _vsctl(self, *arguments):
        return run("ovs-vsctl", f"--db=unix:{self.home}/db.sock", "--timeout=20", "--no-wait",
                   *arguments)

    def _start(self):
        run("ovsdb-tool", "create", self.home / "conf.db", _SCHEMA)
        self._spawn("ovsdb-server", self.home / "conf.db", f"--remote=punix:{self.home}/db.sock",
                    f"--unixctl={self.home}/db.ctl")
        wait_for((self.home / "db.sock").exists, 10, "ovsdb-server")
        memory = "--in-memory" if self.hugepages else "--no-huge"
        settings = (
            "dpdk-init=true", f"pmd-cpu-mask={1 << DEVICE_CORE:#x}",
            # Both: DPDK then keeps its control threads off the polling thread's core.
            f"dpdk-lcore-mask={1 << GENERATOR_CORE | 1 << DEVICE_CORE:#x}",
            f"dpdk-extra=--no-pci {memory} --no-telemetry", f"dpdk-socket-mem={MEMORY_MIB}",
        )
        self.command = ("ovs-vswitchd", *settings)
        self._vsctl("init")
        self._vsctl("set", "Open_vSwitch", ".", *(f'other_config:{name}="{value}"' for name, value
                                                  in (s.split("=", 1) for s in settings)))
        self._vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        for port in (0, 1):
            arguments = f"net_memif{port},role=server,socket={self.socket(port)},socket-abstract=no"
            self._vsctl("add-port", "br0", f"m{port}", "--", "set", "Interface", f"m{port}",
                        "type=dpdk", f'options:dpdk-devargs="{arguments}"',
                        f"ofport_request={port + 1}")
        self._spawn(_VSWITCHD, f"unix:{self.home}/db.sock", f"--unixctl={self.home}/vswitchd.ctl",
                    "-vconsole:warn")
        wait_for(lambda: all(Path(self.socket(port)).exists() for port in (0, 1)), 30,
                 f"OVS's ports; see {self.home}/log")
        for family in ("ip", "ipv6"):
            run("ovs-ofctl", "add-flow", f"unix:{self.home}/br0.mgmt",
                f"in_port=1,{family},actions=mod_dl_src:{_GATEWAY_MAC},mod_dl_dst:{TARGET_MAC},"
                "dec_ttl,output:2")
        self.pause()

    def socket(self, port):
        return str(self.home / f"{port}.sock")

    def endpoints(self):
        # A polling thread sends on the ring of its own number; number 0 is the main thread.
        return Endpoints(self.socket(0), self.socket(1), receive_rings=2)

    def pause(self):
        os.kill(self.worker_pid(), signal.SIGSTOP)

    def resume(self):
        os.kill(self.worker_pid(), signal.SIGCONT)

    def worker_pid(self):
        return self.started[-1].pid

    def close(self):
        for process in reversed(self.started):
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
                stop(process)
        self.pages.close()
        shutil.rmtree(self.home, ignore_errors=True)
