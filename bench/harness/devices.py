"""Devices under test: what forwards between two memif sockets on one core.

A device that polls without end stands still (SIGSTOP) unless it is measured, so that it
takes no core from the others. weir needs no stopping: its worker sleeps without traffic.
"""

import ipaddress
from dataclasses import dataclass, field

from lab.node import GATEWAY_MAC, Node, node_config
from lab.pod import MemifPod
from lab.services import apply, compact

from .generator import start_weir_bench, weir_bench
from .machine import DEVICE_CORE

MEMORY_MIB = 256  # of every device
# Of pods behind devices that know no leases.
SOURCE = {4: "10.244.0.2", 6: "fd00:10:244::2"}
TARGET = {4: "10.244.0.3", 6: "fd00:10:244::3"}
SOURCE_MAC = "02:00:00:00:00:02"
TARGET_MAC = "02:00:00:00:00:03"
FIRST_VIP = "10.96.0.1"
SERVICE_PORTS = (9000, 9001)  # destination ports of the generator's first 131072 flows


@dataclass
class Endpoints:
    """What the generator has to know of a device."""

    sender: str
    receiver: str
    source_mac: str = SOURCE_MAC
    gateway_mac: str = GATEWAY_MAC
    source: dict = field(default_factory=lambda: dict(SOURCE))
    target: dict = field(default_factory=lambda: dict(TARGET))
    idle: list = field(default_factory=list)
    receive_rings: int = 1
    vip: str = ""  # of the first service; the others follow


class Device:
    name = ""
    command = ()  # as started, for the report
    hugepages = False

    @classmethod
    def missing(cls):
        """What has to be installed first, or None."""
        return None

    def endpoints(self):
        raise NotImplementedError

    def worker_pid(self):
        raise NotImplementedError

    def pause(self):
        """Leaves the core to others; may be repeated."""

    def resume(self):
        """Is ready for traffic when this returns."""

    def revive(self):
        """True when the device had died and was started again."""
        return False

    def close(self):
        raise NotImplementedError


class Weir(Device):
    """A whole node with memif pods, made as users make them: ci/up and CNI ADD."""

    name = "weir"

    def __init__(self, pods=2, mtu=1500, routes=0, services=0, workers=(DEVICE_CORE,)):
        config = node_config(
            dataplane={"workers": list(workers), "memory_mib": MEMORY_MIB},
            network={"mtu": mtu},
        )
        self.node = Node(config)
        self.pods = []
        try:
            self.node.up()
            for _ in range(pods):
                self.pods.append(MemifPod(self.node, "bench"))
                self.pods[-1].add()
            if routes:
                self.add_routes(routes)
            if services:
                self.add_services(services)
        except BaseException:
            self.close()
            raise
        status = self.node.ctl("status")["dataplane"]
        self.hugepages = bool(status["hugepages"])
        settings = (f"{key}={value}" for key, value in config["dataplane"].items())
        self.command = ("weir-dataplane", *settings)

    def add_routes(self, count):
        """Random prefixes of both families that lead to the receiving pod."""
        for gateway in self.pods[1].addresses.values():
            weir_bench("routes", "--dataplane", self.node.run_dir / "dataplane.sock",
                       "--gateway", gateway, "--count", count)

    def add_services(self, count):
        """Each of one address and the ports that frames go to; behind it the receiving pod."""
        first = int(ipaddress.ip_address(FIRST_VIP))
        apply(self.node, *(
            compact(f"bench-{number}", vips=[str(ipaddress.ip_address(first + number))],
                    ports=[f"{port}/udp" for port in SERVICE_PORTS], backends=[self.pods[1].ip4])
            for number in range(count)
        ))

    def change_routes(self, count, rate, seconds):
        """Takes these routes away and puts them back, `rate` changes a second; running."""
        return start_weir_bench(
            "routes", "--dataplane", self.node.run_dir / "dataplane.sock",
            "--gateway", self.pods[1].ip4, "--count", count, "--churn", rate, "--seconds", seconds,
        )

    def endpoints(self):
        sender, receiver, *others = self.pods
        return Endpoints(
            sender.socket_path,
            receiver.socket_path,
            source_mac=sender.mac,
            source=sender.addresses,
            target=receiver.addresses,
            idle=[pod.socket_path for pod in others],
            vip=FIRST_VIP,
        )

    def worker_pid(self):
        return self.node.pid("dataplane")

    def close(self):
        for pod in self.pods:
            pod.close()
        self.node.close()
