"""Two nodes joined by several wires, on each of which the nodes' BIRDs speak BGP.

On every wire weir and the kernel have an address each: BIRD speaks from the kernel's and
announces the node's pods with weir's as their next hop."""

import tempfile
from pathlib import Path

from .node import node_config
from .run import run, stop, wait_for
from .site import POD_CIDRS, join

WIRES = 2
NAMES = ("ip4", "ip6")  # BIRD's families


def interface(wire):
    return f"up{wire}"


def weirs(wire, number):
    return f"192.0.{wire + 2}.{number + 1}", f"2001:db8:{wire + 1}::{number + 1}"


def kernels(wire, number):
    return f"192.0.{wire + 2}.{number + 101}", f"2001:db8:{wire + 1}::{number + 101}"


def weir_config(number, wires=WIRES):
    return node_config(
        dataplane={"hugepages": "off"},
        network={
            "pod_cidrs": list(POD_CIDRS[number]),
            "kernel_routes": {"protocols": ["bird"]},
            "uplinks": [{
                "name": f"wire{wire}",
                "devargs": f"net_af_packet{wire},iface={interface(wire)},framesz=16384,blocksz=16384",
                "addresses": [f"{weirs(wire, number)[0]}/24", f"{weirs(wire, number)[1]}/64"],
            } for wire in range(wires)],
        },
    )


def session(wire, number):
    other = 1 - number
    channels = "".join(
        f"  {name.replace('ip', 'ipv')} {{ import all; export where source = RTS_STATIC;"
        f" next hop address {address}; }};\n"
        for name, address in zip(NAMES, weirs(wire, number), strict=True)
    )
    return (
        f"protocol bgp wire{wire} {{\n"
        f"  local {kernels(wire, number)[0]} as {65001 + number};\n"
        f"  neighbor {kernels(wire, other)[0]} as {65001 + other};\n"
        f"  connect delay time 1; connect retry time 1; error wait time 1, 2;\n{channels}}}\n"
    )


def bird_config(number, wires=WIRES):
    text = f"router id 192.0.2.{number + 101};\nprotocol device {{ scan time 1; }}\n"
    for name, prefix in zip(NAMES, POD_CIDRS[number], strict=True):
        family = name.replace("ip", "ipv")
        text += (
            f"protocol static pods{family} {{ {family}; route {prefix} blackhole; }}\n"
            f"protocol kernel kernel{family} {{ merge paths on; {family} {{ import none;"
            " export where source = RTS_BGP; }; }\n"
        )
    return text + "".join(session(wire, number) for wire in range(wires))


class Bird:
    """BIRD in a node's namespace."""

    def __init__(self, node, number, wires=WIRES):
        self.netns = node.netns
        self.home = tempfile.TemporaryDirectory(prefix="weir-bird-")
        config = Path(self.home.name, "bird.conf")
        config.write_text(bird_config(number, wires))
        self.socket = Path(self.home.name, "bird.ctl")
        self.process = self.netns.start(
            "bird", "-f", "-c", config, "-s", self.socket, "-P", Path(self.home.name, "pid"))

    def ask(self, *command):
        return run("birdc", "-s", self.socket, *command, check=False).stdout

    def close(self):
        stop(self.process)
        self.home.cleanup()


def give_kernel_addresses(node, number, wire):
    """They outlive a link that goes down, as a network manager would have it."""
    for setting in ("disable_ipv6=0", "accept_dad=0", "keep_addr_on_down=1"):
        node.run("sysctl", "-qw", f"net.ipv6.conf.{interface(wire)}.{setting}")
    for address, length in zip(kernels(wire, number), (24, 64), strict=True):
        node.run("ip", "address", "add", f"{address}/{length}", "dev", interface(wire))


class BgpSite:
    """Nodes 0 and 1 with their BIRDs, started; each has learned the other's pods."""

    def __init__(self, open_node):
        self.nodes = [open_node(config=weir_config(number)) for number in range(2)]
        self.birds = []
        for wire in range(WIRES):
            join(*(node.netns for node in self.nodes), name=interface(wire))
            for number, node in enumerate(self.nodes):
                give_kernel_addresses(node, number, wire)
        for node in self.nodes:
            node.up()

    def start_birds(self):
        self.birds = [Bird(node, number) for number, node in enumerate(self.nodes)]

    def routes(self, number):
        """Prefix -> next hops of the other node's pods, as the dataplane has them resolved."""
        found = {}
        for route in self.nodes[number].ctl("route", "list"):
            if route["prefix"] in POD_CIDRS[1 - number] and not route["unresolved"]:
                found[route["prefix"]] = {hop["gateway"] for hop in route["next_hops"]}
        return found

    def wait_for_wires(self, *wires, seconds=30):
        """Until both nodes' routes lead over just these."""
        def reached(number):
            hops = [weirs(wire, 1 - number) for wire in wires]
            wanted = {prefix: {hop[i] for hop in hops} for i, prefix in enumerate(POD_CIDRS[1 - number])}
            return self.routes(number) == wanted
        for number in range(2):
            wait_for(lambda number=number: reached(number), seconds,
                     f"node {number}'s routes over {wires}")

    def set_link(self, wire, state):
        self.nodes[0].run("ip", "link", "set", interface(wire), state)

    def close(self):
        for bird in self.birds:
            bird.close()
