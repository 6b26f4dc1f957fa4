"""Pods of two nodes reach each other through uplinks, without NAT."""

import pytest
from lab.node import GATEWAY_MAC
from lab.packets import IP, UDP, Ether, IPv6, PacketSocket, checksum_fault
from lab.run import wait_for
from lab.site import UPLINK, WIRE4, WIRE6, Site, uplink_config
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr
from scapy.layers.l2 import ARP

STRANGER = "02:00:00:00:00:99"
BROADCAST = "ff:ff:ff:ff:ff:ff"
TEXT = b"across the wire"


class Tap(PacketSocket):
    """What arrives on a node's end of the wire, before and beside weir."""

    def __init__(self, node, incoming_only=True):
        self.netns, self.ifname = node.netns, UPLINK
        super().__init__(self, incoming_only)


def mac_of(site, number):
    return site.uplink(number)["mac"]


def udp_from(pod, to, version):
    ip = {4: IP, 6: IPv6}[version](src=pod.addresses[version], dst=to)
    return Ether(src=pod.mac, dst=GATEWAY_MAC) / ip / UDP(sport=1111, dport=2222) / TEXT


@pytest.mark.parametrize("version", [4, 6])
def test_pods_ping_across_nodes(two_nodes, version):
    two_nodes.a.ping(two_nodes.b.addresses[version])
    two_nodes.b.ping(two_nodes.a.addresses[version])


@pytest.mark.parametrize("version", [4, 6])
def test_source_address_is_kept(two_nodes, version):
    """And the frame is right: both MACs, a hop less on each node, checksums."""
    a, b = two_nodes.a, two_nodes.b
    layer = {4: IP, 6: IPv6}[version]
    is_ours = lambda frame: UDP in frame and bytes(frame[UDP].payload).startswith(TEXT)
    with Tap(two_nodes.nodes[1]) as wire, PacketSocket(b) as inside, PacketSocket(a) as sender:
        sender.send(udp_from(a, b.addresses[version], version))
        between, arrived = wire.wait(is_ours), inside.wait(is_ours)
    assert between and arrived
    assert (between.ether.src, between.ether.dst) == (mac_of(two_nodes, 0), mac_of(two_nodes, 1))
    for frame, hops in ((between, 1), (arrived, 2)):
        ip = frame[layer]
        assert (ip.src, ip.dst) == (a.addresses[version], b.addresses[version])
        assert (ip.ttl if version == 4 else ip.hlim) == 64 - hops
        assert checksum_fault(frame) is None


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_flows_across_nodes(two_nodes, version):
    """With segmentation offload at the sender's tap, which the wire does not have."""
    report = two_nodes.a.iperf_to(two_nodes.b, version, seconds=1)
    assert report["end"]["sum_received"]["bits_per_second"] > 10e6


def test_full_size_packets_and_fragments_cross(two_nodes):
    a, b = two_nodes.a, two_nodes.b
    a.ping(b.ip4, options=("-s", "1472", "-M", "do"))
    a.ping(b.ip6, options=("-s", "1452", "-M", "do"))
    a.ping(b.ip4, options=("-s", "4000"))
    a.ping(b.ip6, options=("-s", "4000"))


@pytest.mark.parametrize("wire", [WIRE4, WIRE6])
def test_uplinks_own_addresses_answer(two_nodes, wire):
    two_nodes.a.ping(wire.format(1))
    two_nodes.a.ping(wire.format(2))


def test_frames_for_other_hosts_are_ignored(two_nodes):
    a, b = two_nodes.a, two_nodes.b
    before = two_nodes.nodes[1].drops()["rx_other_mac"]
    frame = udp_from(a, b.ip4, 4)
    frame[Ether].dst = STRANGER
    with Tap(two_nodes.nodes[0]) as wire, PacketSocket(b) as inside:
        wire.send(frame)
        wait_for(lambda: two_nodes.nodes[1].drops()["rx_other_mac"] > before, 5, "the drop")
        assert not [f for f in inside.drain() if UDP in f]


def announcements(victim, mac):
    """Unasked ARP and neighbour advertisements: replies, announcements, for everybody and for us."""
    reply = {"op": 2, "hwsrc": mac, "psrc": victim[4], "hwdst": BROADCAST}
    na = IPv6(src=victim[6], dst="ff02::1") / ICMPv6ND_NA(tgt=victim[6], R=0, S=0, O=1)
    return [
        Ether(src=mac, dst=BROADCAST) / ARP(pdst=WIRE4.format(2), **reply),
        Ether(src=mac, dst=BROADCAST) / ARP(pdst=victim[4], **reply),
        Ether(src=mac, dst="33:33:00:00:00:01") / na / ICMPv6NDOptDstLLAddr(lladdr=mac),
    ]


def test_unasked_announcements_move_nobody(two_nodes):
    """Who is known is asked again and stays; who was not asked for is not learned."""
    gateway = {4: WIRE4.format(1), 6: WIRE6.format(1)}
    unknown = {4: WIRE4.format(77), 6: WIRE6.format(77)}
    node, mac = two_nodes.nodes[1], mac_of(two_nodes, 0)
    with Tap(two_nodes.nodes[0]) as wire:
        for victim in (gateway, unknown):
            for frame in announcements(victim, STRANGER):
                wire.send(frame)
        asked = lambda f: ARP in f and f[ARP].op == 1 and f[ARP].pdst == gateway[4]
        assert wire.wait(asked), "not asked again"
    wait_for(lambda: two_nodes.resolved(node), 5, "the gateways' answers")
    known = {n["address"]: n["mac"] for n in node.ctl("neighbor", "list")}
    assert {known[address] for address in gateway.values()} == {mac}
    assert not known.keys() & set(unknown.values())
    two_nodes.b.ping(two_nodes.a.ip4)


def test_silent_neighbour_is_unreachable(two_nodes):
    """Packets wait while it is asked three times; then their sender is told."""
    nobody = (WIRE4.format(99), WIRE6.format(99))
    pings = [two_nodes.a.netns.start("ping", "-n", "-c", "1", "-W", "6", one) for one in nobody]
    for ping in pings:
        assert "nreachable" in ping.communicate(timeout=20)[0]
    states = {n["address"]: n["state"] for n in two_nodes.nodes[0].ctl("neighbor", "list")}
    assert {states[one] for one in nobody} == {"failed"}


def test_link_flap_recovers(two_nodes):
    a, b = two_nodes.a, two_nodes.b
    a.ping(b.ip4)
    two_nodes.set_link(1, "down")
    wait_for(lambda: two_nodes.uplink(0)["link"] == "down", 5, "link down")
    assert not a.ping(b.ip4, count=1, check=False, options=("-W", "1"))
    two_nodes.set_link(1, "up")
    for node in two_nodes.nodes:
        wait_for(lambda node=node: two_nodes.resolved(node), 10, "gateways that answer again")
    a.ping(b.ip4)
    b.ping(a.ip6)


def test_restarted_dataplane_gets_its_uplink_back(two_nodes):
    node = two_nodes.nodes[0]
    node.kill("dataplane")
    node.up()
    wait_for(lambda: two_nodes.resolved(node), 10, "gateways that answer")
    two_nodes.a.ping(two_nodes.b.ip4)


def test_kernel_does_not_forward_beside_weir(two_nodes):
    """It gets each frame too, and Kubernetes has it forward; echoes come once all the same."""
    setting = "net.ipv4.conf.{}.forwarding"
    node = two_nodes.nodes[1]
    node.run("sysctl", "-qw", setting.format("weir0") + "=1")
    assert node.run("sysctl", "-n", setting.format(UPLINK)).stdout.strip() == "0"
    done = two_nodes.a.run("ping", "-n", "-c", "3", "-i", "0.05", two_nodes.b.ip4)
    assert "DUP" not in done.stdout and " 0% packet loss" in done.stdout


def test_wire_smaller_than_the_pods_mtu(make_node, pods):
    """The sender is told, and TCP adapts."""
    site = Site(make_node, mtu=1400)
    a, b = (pods.kernel(node) for node in site.nodes)
    for address, size in ((b.ip4, 1472), (b.ip6, 1452)):
        done = a.run("ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", size, address, check=False)
        assert "1400" in done.stdout, done.stdout
    for version in (4, 6):
        report = a.iperf_to(b, version, seconds=1)
        assert report["end"]["sum_received"]["bits_per_second"] > 10e6


def test_interface_with_the_default_route_is_left_alone(make_node):
    node = make_node(config=uplink_config(0))
    node.run("ip", "link", "add", UPLINK, "type", "veth", "peer", "name", "far")
    node.run("ip", "address", "add", "198.51.100.2/24", "dev", UPLINK)
    node.run("ip", "link", "set", UPLINK, "up")
    node.run("ip", "route", "add", "default", "via", "198.51.100.1")
    node.up()
    assert "carries the node's default route" in node.logs()
    assert "uplink" not in {port["kind"] for port in node.ctl("port", "list")}
