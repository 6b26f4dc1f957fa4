"""Contestants that are not loaded through two memif ports: each has run(), which gives one
report (a dict whose key is the row's unit), and close()."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from lab.netns import Netns
from lab.node import Node, node_config
from lab.pod import KernelPod

from .devices import Weir
from .generator import PROGRAM, Load, traffic
from .machine import DEVICE_CORE, Watch, prefer
from .stats import percentile

_ATTEMPTS = 5
_WORKER_MAY_WAIT = 100e-6  # seconds a trial; its ring holds more
REFERENCE_PLUGINS = Path("/usr/lib/cni")  # Debian's containernetworking-plugins


def missing_plugins():
    if (REFERENCE_PLUGINS / "bridge").exists():
        return None
    return "package containernetworking-plugins is not installed"


def kernel_node():
    return Node(node_config(dataplane={"workers": [DEVICE_CORE]}))


class Probe:
    def __init__(self):
        self.stack = ExitStack()
        try:
            self.start(self.stack)
        except BaseException:
            self.close()
            raise

    @classmethod
    def missing(cls):
        return None

    def start(self, stack):
        raise NotImplementedError

    def run(self):
        raise NotImplementedError

    def close(self):
        self.stack.close()


class TcpBetweenPods(Probe):
    """One TCP stream between kernel pods; iperf3's two ends and the dataplane share the cores."""

    seconds = 1

    def run(self):
        client, server = self.pods
        report = client.iperf_to(server, 4, seconds=self.seconds)
        return {"gbps": report["end"]["sum_received"]["bits_per_second"] / 1e9}


class WeirTcp(TcpBetweenPods):
    def start(self, stack):
        node = kernel_node()
        stack.callback(node.close)
        node.up()
        self.pods = [KernelPod(node, "bench") for _ in range(2)]
        for pod in self.pods:
            stack.callback(pod.close)
            pod.add()


class _BridgedPod(KernelPod):
    """A namespace on a Linux bridge, with all that KernelPod needs to run iperf3."""

    def __init__(self, bridge, number):
        self.netns = Netns("bridged")
        self.addresses = {4: f"10.98.0.{number}"}
        link = f"veth{number}"
        self.netns.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", link)
        self.netns.run("ip", "link", "set", link, "netns", bridge.name)
        self.netns.run("ip", "addr", "add", f"{self.addresses[4]}/24", "dev", "eth0")
        self.netns.run("ip", "link", "set", "eth0", "up")
        bridge.run("ip", "link", "set", link, "master", "br0", "up")


class BridgeTcp(TcpBetweenPods):
    """The kernel's own way: veth pairs on a bridge, no filter rules."""

    def start(self, stack):
        bridge = Netns("bridge")
        stack.callback(bridge.delete)
        bridge.run("ip", "link", "add", "br0", "type", "bridge")
        bridge.run("ip", "link", "set", "br0", "up")
        self.pods = []
        for number in (2, 3):
            self.pods.append(_BridgedPod(bridge, number))
            stack.callback(self.pods[-1].netns.delete)


class CniCalls(Probe):
    """ADD and DEL of `parallel` pods at a time, spawn to exit; all pods' ADDs, then DELs.
    Both plugins are started by the same few lines of Python, whose time counts too."""

    calls = 20

    def __init__(self, parallel):
        self.parallel = parallel
        super().__init__()

    def start(self, stack):
        self.namespaces = []
        for _ in range(max(self.calls, self.parallel)):
            self.namespaces.append(Netns("cni"))
            stack.callback(self.namespaces[-1].delete)

    def call(self, command, netns):
        """One plugin run; milliseconds."""
        environment, program, config = self.plugin()
        environment = environment | {
            "CNI_COMMAND": command, "CNI_CONTAINERID": netns.name, "CNI_NETNS": netns.path,
            "CNI_IFNAME": "eth0", "PATH": os.environ["PATH"],
        }
        start = time.perf_counter()
        done = subprocess.run([program], input=config, env=environment, capture_output=True,
                              check=False, timeout=120)
        spent = (time.perf_counter() - start) * 1e3
        if done.returncode != 0:
            raise RuntimeError(f"{program} {command}: {done.stdout.decode()[:500]}")
        return spent

    def plugin(self):
        """Environment, program and standard input."""
        raise NotImplementedError

    def run(self):
        with ThreadPoolExecutor(self.parallel, initializer=self.enter) as pool:
            added = list(pool.map(lambda netns: self.call("ADD", netns), self.namespaces))
            deleted = list(pool.map(lambda netns: self.call("DEL", netns), self.namespaces))
        return {
            "ms": statistics.median(added), "add_p99_ms": percentile(added, 99),
            "del_ms": statistics.median(deleted), "del_p99_ms": percentile(deleted, 99),
        }

    def enter(self):
        """Runs first in each thread that starts plugins."""


class WeirCni(CniCalls):
    def start(self, stack):
        self.node = kernel_node()
        stack.callback(self.node.close)
        self.node.up()
        super().start(stack)

    def plugin(self):
        environment = {"WEIR_RUN_DIR": str(self.node.run_dir),
                       "WEIR_STATE_DIR": str(self.node.state_dir), "CNI_PATH": "/"}
        return environment, self.node.program["cni"], json.dumps(self.node.cni_conf()).encode()


class ReferenceCni(CniCalls):
    """The reference bridge plugin with host-local, in a namespace of its own."""

    @classmethod
    def missing(cls):
        return missing_plugins()

    def start(self, stack):
        self.host = Netns("cnihost")
        stack.callback(self.host.delete)
        self.data = stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-bench-"))
        super().start(stack)

    def plugin(self):
        config = {
            "cniVersion": "1.0.0", "name": "reference", "type": "bridge", "bridge": "br0",
            "isGateway": True,
            "ipam": {"type": "host-local", "dataDir": self.data,
                     "ranges": [[{"subnet": "10.97.0.0/24"}], [{"subnet": "fd00:97::/64"}]]},
        }
        environment = {"CNI_PATH": str(REFERENCE_PLUGINS)}
        return environment, REFERENCE_PLUGINS / "bridge", json.dumps(config).encode()

    def enter(self):
        # A namespace belongs to a thread, and children inherit it: no nsenter to time.
        self.host.entered().__enter__()


class NewFlows(Probe):
    """Connections that one core makes, counted by bench/stages: a pod's quota is full after a
    quarter of a second at this rate, so no generator could keep it up."""

    program = PROGRAM.parents[1] / "stages/stage_cost"

    @classmethod
    def missing(cls):
        return None if cls.program.exists() else f"{cls.program.name} is not built"

    def start(self, stack):
        pass

    def run(self):
        done = subprocess.run(
            ["taskset", "-c", str(DEVICE_CORE), self.program, "--benchmark_format=json",
             "--benchmark_filter=service_open"],
            capture_output=True, text=True, check=True,
        )
        return {"mpps": json.loads(done.stdout)["benchmarks"][0]["made/s"] / 1e6}


class Churn(Probe):
    """Lost frames while routes change that the traffic does not use, as blocked time: lost
    frames / offered rate. The generator shares its core with the dataplane's main thread
    and with who changes the routes, so its own pauses are expected, and left out; trials in
    which the worker had to wait are repeated."""

    routes = 10_000
    load = Load(rate=2_000_000, shares_core=True)

    def __init__(self, changes):
        self.changes = changes
        super().__init__()

    def start(self, stack):
        self.device = Weir(routes=self.routes)
        stack.callback(self.device.close)

    def run(self):
        for _ in range(_ATTEMPTS):
            report, changed, disturbance = self.attempt()
            if disturbance.waited < _WORKER_MAY_WAIT:
                break
        lost = report["lost"] + report["refused"]
        return {
            "blocked_us": lost / self.load.rate * 1e6, "lost": lost, "offered": report["offered"],
            "changes_per_second": changed, "worker_waited_us": disturbance.waited * 1e6,
        }

    def attempt(self):
        prefer(self.device.worker_pid())
        changing = self.device.change_routes(self.routes, self.changes, 1) if self.changes else None
        watch = Watch(self.device.worker_pid())
        report = traffic(self.device, self.load)
        disturbance = watch.disturbance()
        done = json.loads(changing.communicate(timeout=30)[0]) if changing else None
        return report, done["changes"] / done["seconds"] if done else 0, disturbance
