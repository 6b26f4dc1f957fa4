"""A node with two kernels behind each kind of port: pods', two virtual machines', and hosts
beyond two uplinks. The first of each kind has an MTU of 9000, the second one of 4000."""

import contextlib
import itertools

from .guest import Guest
from .netns import Netns
from .node import node_config
from .pod import KernelPod, MemifPod, VhostPod
from .run import wait_for
from .site import devargs_of, join
from .stack import NetnsStack
from .testpmd import Testpmd, device_of

KINDS = ("kernel", "memif", "virtio-user", "qemu", "uplink")
MTUS = (9000, 4000)
_WIRES = ({4: "192.0.2.{}", 6: "2001:db8:1::{}"}, {4: "198.51.100.{}", 6: "2001:db8:2::{}"})
_BITS = {4: 24, 6: 64}
_CABLE_END = "stack0"
# In chains, net_memif 22.11 leaves old flags in descriptors when its ring has gone round.
_WHOLE_FRAMES = "bsize=9216"


def _interface(version, wire, host):
    return f"{wire[version].format(host)}/{_BITS[version]}"


def _config():
    uplinks = [
        {"name": f"wire{i}", "devargs": devargs_of(f"wire{i}", i),
         "addresses": [_interface(version, wire, 1) for version in wire]}
        for i, wire in enumerate(_WIRES)
    ]
    return node_config(dataplane={"hugepages": "off"},
                       network={"mtu": max(MTUS), "uplinks": uplinks})


def _wake(netns, device):
    """A kernel's end of a veth that leaves nothing to the wire, which cannot do it."""
    netns.run("ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off")
    netns.run("sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=0")


class Crossroads:
    """`ends[kind]` are the two stacks of a kind. Made by crossroads()."""

    def __init__(self, open_node, cleanup):
        self.node = open_node(config=_config())
        self.cleanup = cleanup
        self.ends = {"uplink": [self._host(i, mtu) for i, mtu in enumerate(MTUS)]}
        self.node.up()
        machines = [(pod, Guest(pod, mtu=mtu)) for pod, mtu in self._pods(VhostPod)]
        for _, guest in machines:
            cleanup.callback(guest.close)
        self.ends["kernel"] = [
            self._stack(pod.netns, pod.addresses) for pod, _ in self._pods(KernelPod)]
        self._join_to_kernels({"memif": self._pods(MemifPod), "virtio-user": self._pods(VhostPod)})
        self.ends["qemu"] = [guest.boot() for _, guest in machines]
        for pod, _ in machines:
            self._wait_for_link(pod)

    def _pods(self, kind):
        made = []
        for mtu in MTUS:
            pod = kind(self.node, mtu=mtu)
            self.cleanup.callback(pod.close)
            made.append((pod.add(), mtu))
        return made

    def _stack(self, netns, addresses):
        return self.cleanup.enter_context(NetnsStack(netns, addresses))

    def _host(self, number, mtu):
        netns, wire, device = Netns("host"), _WIRES[number], f"wire{number}"
        self.cleanup.callback(netns.delete)
        join(self.node.netns, netns, device, mtu)
        _wake(netns, device)
        for version in wire:
            netns.run("ip", "address", "add", _interface(version, wire, 2), "dev", device,
                      *(["nodad"] if version == 6 else []))
            netns.run("ip", f"-{version}", "route", "add", "default", "via",
                      wire[version].format(1))
        return self._stack(netns, {version: wire[version].format(2) for version in wire})

    def _join_to_kernels(self, pods):
        """One testpmd joins all of these ports to interfaces in their pods. Its taps take no
        jumbo frames."""
        first, devices = pods["memif"][0][0], []
        for kind, both in pods.items():
            for number, (pod, mtu) in enumerate(both):
                cable = len(devices) // 2
                join(first.netns, pod.netns, f"cable{cable}", mtu, _CABLE_END)
                _wake(pod.netns, _CABLE_END)
                pod.configure(_CABLE_END, mtu)
                device = device_of(pod, number) + (f",{_WHOLE_FRAMES}" if kind == "memif" else "")
                devices += [device, devargs_of(f"cable{cable}", cable)]
                self.ends.setdefault(kind, []).append(self._stack(pod.netns, pod.addresses))
        self.cleanup.enter_context(Testpmd(
            first, "io", device=_WHOLE_FRAMES, vdevs=devices[1:],
            eal=("--no-huge", "-m", "256"), options=("--mbuf-size=16640",)))
        for pod, _ in itertools.chain(*pods.values()):
            self._wait_for_link(pod)

    def _wait_for_link(self, pod):
        wait_for(lambda: self.node.ports()[pod.ip4]["link"] == "up", 20, "link")


@contextlib.contextmanager
def crossroads(open_node):
    with contextlib.ExitStack() as cleanup:
        yield Crossroads(open_node, cleanup)
