"""A pod cannot speak as another: each lie is dropped and counted under its own name."""

import pytest
from lab.node import GATEWAY4, GATEWAY6, GATEWAY_MAC
from lab.packets import ICMP, IP, UDP, Ether, IPv6, PacketSocket
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr
from scapy.layers.l2 import ARP

BROADCAST = "ff:ff:ff:ff:ff:ff"


def udp(source_mac, ip):
    return Ether(src=source_mac, dst=GATEWAY_MAC) / ip / UDP(sport=666, dport=666) / b"lie"


def solicitation(pod, source, target, mac=None):
    group = "ff02::1:ff00:1"
    ip = IPv6(src=source, dst=group, hlim=255)
    option = ICMPv6NDOptSrcLLAddr(lladdr=mac or pod.mac)
    return Ether(src=pod.mac, dst="33:33:ff:00:00:01") / ip / ICMPv6ND_NS(tgt=target) / option


def arp(pod, **fields):
    return Ether(src=pod.mac, dst=BROADCAST) / ARP(hwsrc=pod.mac, **fields)


LIES = {
    "source_mac": lambda a, b, c: udp(b.mac, IP(src=a.ip4, dst=c.ip4)),
    "source_ip4": lambda a, b, c: udp(a.mac, IP(src=b.ip4, dst=c.ip4)),
    "source_ip6": lambda a, b, c: udp(a.mac, IPv6(src=b.ip6, dst=c.ip6)),
    "source_arp": lambda a, b, c: arp(a, psrc=b.ip4, pdst=GATEWAY4),
    "source_nd": lambda a, b, c: solicitation(a, b.ip6, GATEWAY6),
    "source_martian": lambda a, b, c: udp(a.mac, IP(src="127.0.0.1", dst=c.ip4)),
    "arp_not_gateway": lambda a, b, c: arp(a, psrc=a.ip4, pdst=b.ip4),
}


@pytest.mark.parametrize("name", LIES)
def test_lie_is_dropped_and_counted(node, pods, name):
    a, b, c = (pods.kernel(node, stem) for stem in "abc")
    before = node.drops()
    with PacketSocket(b) as at_b, PacketSocket(c) as at_c, PacketSocket(a, False) as wire:
        wire.send(LIES[name](a, b, c))
        # A true packet behind the lie: when it has arrived, the lie was decided on.
        wire.send(udp(a.mac, IP(src=a.ip4, dst=c.ip4)))
        assert at_c.wait(lambda frame: UDP in frame and frame[IP].src == a.ip4)
        assert not [frame for frame in at_c.drain() if UDP in frame]
        assert not [frame for frame in at_b.drain() if UDP in frame or ARP in frame]
    after = node.drops()
    changed = {key: after[key] - before[key] for key in after if after[key] != before[key]}
    changed.pop("nd_ignored", None)  # what a new interface says on its own
    assert changed == {name: 1}


def test_port_shows_its_own_drops(node, pair):
    a, b = pair
    with PacketSocket(a) as wire:
        wire.send(udp(a.mac, IP(src=b.ip4, dst=b.ip4)))
        a.ping(b.ip4, count=1)
    drops = {drop["name"]: drop["packets"] for drop in node.ctl("port", "show", a.ip4)["drops"]}
    assert drops["source_ip4"] == 1


def test_gateway_answers_arp(pair):
    a, _ = pair
    with PacketSocket(a) as wire:
        wire.send(arp(a, psrc=a.ip4, pdst=GATEWAY4))
        answer = wire.wait(lambda frame: ARP in frame and frame[ARP].op == 2)
    assert answer and (answer[ARP].hwsrc, answer[ARP].psrc) == (GATEWAY_MAC, GATEWAY4)
    assert (answer[ARP].hwdst, answer[ARP].pdst) == (a.mac, a.ip4)


def test_gateway_answers_neighbour_solicitation(pair):
    a, _ = pair
    with PacketSocket(a) as wire:
        wire.send(solicitation(a, a.ip6, GATEWAY6))
        answer = wire.wait(lambda frame: ICMPv6ND_NA in frame)
    assert answer and answer[ICMPv6ND_NA].tgt == GATEWAY6
    assert answer[ICMPv6NDOptDstLLAddr].lladdr == GATEWAY_MAC


def test_pods_without_static_neighbours_work(pair):
    """The gateway is found by ARP and ND alone."""
    a, b = pair
    a.run("ip", "neigh", "flush", "dev", a.ifname, "nud", "permanent")
    a.ping(b.ip4)
    a.ping(b.ip6)


def test_victim_never_sees_an_arp_from_another_pod(pair):
    a, b = pair
    with PacketSocket(b) as at_b, PacketSocket(a) as wire:
        wire.send(arp(a, psrc=a.ip4, pdst=b.ip4))
        a.ping(b.ip4, count=1)
        frames = at_b.drain()
    assert any(ICMP in frame for frame in frames)
    assert not any(ARP in frame for frame in frames)
