"""Two nodes with an uplink each, and the wire between them."""

from .node import Node, node_config
from .run import wait_for

POD_CIDRS = (("10.244.1.0/24", "fd00:10:244:1::/64"), ("10.244.2.0/24", "fd00:10:244:2::/64"))
UPLINK = "up0"
WIRE4 = "192.0.2.{}"
WIRE6 = "2001:db8::{}"


def devargs_of(ifname, number=0):
    """The driver gets IPv4 fragments after the kernel reassembled them: room for what comes
    of it."""
    return f"net_af_packet{number},iface={ifname},framesz=16384,blocksz=16384"


DEVARGS = devargs_of(UPLINK)


def uplink_config(number, devargs=DEVARGS, workers=None, **network):
    """weir.json of node 0 or 1, with routes to the other's pods."""
    other = 1 - number
    vias = (WIRE4.format(other + 1), WIRE6.format(other + 1))
    return node_config(
        dataplane={"hugepages": "off"} | ({"workers": workers} if workers else {}),
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


def join(a, b, name=UPLINK, mtu=1500, peer=None):
    """A veth between two namespaces, its ends up and without addresses of the kernel's."""
    ends = ((a, name), (b, peer or name))
    a.run("ip", "link", "add", name, "mtu", mtu, "type", "veth",
          "peer", "name", peer or name, "mtu", mtu, "netns", b.name)
    for netns, device in ends:
        netns.run("sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1")
        netns.run("ip", "link", "set", device, "up")


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
