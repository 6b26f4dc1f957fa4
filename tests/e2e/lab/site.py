"""Two nodes with an uplink each, and the wire between them."""

from .node import Node, node_config
from .run import wait_for

POD_CIDRS = (("10.244.1.0/24", "fd00:10:244:1::/64"), ("10.244.2.0/24", "fd00:10:244:2::/64"))
UPLINK = "up0"
# The kernel reassembles IPv4 fragments before this driver gets them: room for what comes of it.
DEVARGS = f"net_af_packet0,iface={UPLINK},framesz=16384,blocksz=16384"
WIRE4 = "192.0.2.{}"
WIRE6 = "2001:db8::{}"


def uplink_config(number, devargs=DEVARGS, **network):
    """weir.json of node 0 or 1, with routes to the other's pods."""
    other = 1 - number
    vias = (WIRE4.format(other + 1), WIRE6.format(other + 1))
    return node_config(
        dataplane={"hugepages": "off"},
        network={
            "pod_cidrs": list(POD_CIDRS[number]),
            "uplinks": [{
                "name": "wire",
                "devargs": devargs,
                "addresses": [WIRE4.format(number + 1) + "/24", WIRE6.format(number + 1) + "/64"],
            }],
            "routes": [
                {"prefix": prefix, "via": via}
                for prefix, via in zip(POD_CIDRS[other], vias, strict=True)
            ],
        } | network,
    )


def join(a, b, name=UPLINK, mtu=1500):
    """A veth between two namespaces, its ends up and without addresses of the kernel's."""
    a.run("ip", "link", "add", name, "mtu", mtu, "type", "veth",
          "peer", "name", name, "mtu", mtu, "netns", b.name)
    for end in (a, b):
        end.run("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
        end.run("ip", "link", "set", name, "up")


class Site:
    """Nodes 0 and 1, started, joined by a wire."""

    def __init__(self, open_node, mtu=1500, **network):
        self.nodes = [open_node(config=uplink_config(i, **network)) for i in range(2)]
        join(*(node.netns for node in self.nodes), mtu=mtu)
        for node in self.nodes:
            node.up()
        for node in self.nodes:
            wait_for(lambda node=node: self.resolved(node), 10, "gateways that answer")

    @staticmethod
    def resolved(node):
        states = [n["state"] for n in node.ctl("neighbor", "list") if n["gateway"]]
        return len(states) == 2 and set(states) == {"reachable"}

    def uplink(self, number):
        ports = self.nodes[number].ctl("port", "list")
        return next(port for port in ports if port["kind"] == "uplink")

    def set_link(self, number, state):
        self.nodes[number].run("ip", "link", "set", UPLINK, state)
