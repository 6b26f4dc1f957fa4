"""Time exceeded, too big and unreachable come from the gateway, whole and right."""

import pytest
from lab.node import GATEWAY4, GATEWAY6, GATEWAY_MAC
from lab.packets import ICMP, IP, UDP, Ether, IPv6, PacketSocket, checksum_fault
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded

TEXT = b"where did this go"


def ether(pod):
    return Ether(src=pod.mac, dst=GATEWAY_MAC)


def probe4(a, destination, size=0, **fields):
    ip = IP(src=a.ip4, dst=destination, id=4711, **fields)
    return ether(a) / ip / UDP(sport=1111, dport=2222) / TEXT.ljust(size, b".")


def probe6(a, destination, size=0, **fields):
    ip = IPv6(src=a.ip6, dst=destination, **fields)
    return ether(a) / ip / UDP(sport=1111, dport=2222) / TEXT.ljust(size, b".")


def exchange(pod, frame, layer):
    """Sends a frame from the pod; the first answer of this layer's type."""
    with PacketSocket(pod) as wire:
        wire.send(frame)
        return wire.wait(lambda answer: layer in answer)


def test_time_exceeded_ip4(node, pair):
    a, b = pair
    before = node.drops()["rewrite_ttl_expired"]
    answer = exchange(a, probe4(a, b.ip4, ttl=1), ICMP)
    assert answer, "no time exceeded"
    assert (answer[ICMP].type, answer[ICMP].code) == (11, 0)
    assert (answer[IP].src, answer[IP].dst) == (GATEWAY4, a.ip4)
    inner = IP(bytes(answer[ICMP].payload))
    assert (inner.src, inner.dst, inner.id, inner.ttl) == (a.ip4, b.ip4, 4711, 1)
    assert checksum_fault(answer) is None
    assert node.drops()["rewrite_ttl_expired"] == before + 1


def test_time_exceeded_ip6(node, pair):
    a, b = pair
    before = node.drops()["rewrite_ttl_expired"]
    answer = exchange(a, probe6(a, b.ip6, hlim=1), ICMPv6TimeExceeded)
    assert answer, "no time exceeded"
    assert (answer[IPv6].src, answer[IPv6].dst) == (GATEWAY6, a.ip6)
    assert node.drops()["rewrite_ttl_expired"] == before + 1


@pytest.mark.parametrize("version", [4, 6])
def test_one_hop_to_the_other_pod(pair, version):
    """TTL 2 arrives as 1: weir is exactly one router."""
    a, b = pair
    probe = probe4(a, b.ip4, ttl=2) if version == 4 else probe6(a, b.ip6, hlim=2)
    with PacketSocket(b) as there, PacketSocket(a) as here:
        here.send(probe)
        seen = there.wait(lambda frame: UDP in frame)
    assert seen, "the probe did not arrive"
    assert (seen[IP].ttl if version == 4 else seen[IPv6].hlim) == 1
    assert (seen[Ether].src, seen[Ether].dst) == (GATEWAY_MAC, b.mac)
    assert checksum_fault(seen) is None


@pytest.fixture
def narrow(node, pods):
    """A pod whose interface has an MTU of 1400."""
    pod = pods.kernel(node, "narrow", mtu=1400)
    assert pod.link()["mtu"] == 1400
    return pod


def test_fragmentation_needed(pair, narrow):
    a, _ = pair
    answer = exchange(a, probe4(a, narrow.ip4, 1450, flags="DF"), ICMP)
    assert answer, "no fragmentation needed"
    assert (answer[ICMP].type, answer[ICMP].code) == (3, 4)
    assert answer[ICMP].nexthopmtu == 1400
    assert answer[IP].src == GATEWAY4
    assert checksum_fault(answer) is None


def test_packet_too_big(pair, narrow):
    a, _ = pair
    answer = exchange(a, probe6(a, narrow.ip6, 1440), ICMPv6PacketTooBig)
    assert answer, "no packet too big"
    assert answer[ICMPv6PacketTooBig].mtu == 1400
    assert answer[IPv6].src == GATEWAY6


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_adapts_to_the_smaller_mtu(pair, narrow, version):
    report = pair[0].iperf_to(narrow, version, seconds=1)
    assert report["end"]["sum_received"]["bits_per_second"] > 10e6


def test_unreachable_route(node, pair):
    a, _ = pair
    node.ctl_raw("route", "add", "198.51.100.0/24", "unreachable")
    node.ctl_raw("route", "add", "2001:db8:dead::/48", "unreachable")
    try:
        answer4 = exchange(a, probe4(a, "198.51.100.9"), ICMP)
        answer6 = exchange(a, probe6(a, "2001:db8:dead::9"), ICMPv6DestUnreach)
    finally:
        node.ctl_raw("route", "del", "198.51.100.0/24")
        node.ctl_raw("route", "del", "2001:db8:dead::/48")
    assert answer4 and (answer4[ICMP].type, answer4[ICMP].code) == (3, 1)
    assert answer6 and answer6[ICMPv6DestUnreach].code == 0


def test_blackhole_route_is_silent(node, pair):
    a, _ = pair
    node.ctl_raw("route", "add", "198.51.100.0/24", "blackhole")
    try:
        before = node.drops()["route_blackhole"]
        assert exchange(a, probe4(a, "198.51.100.9"), ICMP) is None
        assert node.drops()["route_blackhole"] == before + 1
    finally:
        node.ctl_raw("route", "del", "198.51.100.0/24")


def test_traceroute_shows_the_gateway_then_the_pod(pair):
    a, b = pair
    hops = []
    for ttl in (1, 2):
        done = a.run("ping", "-n", "-c1", "-W2", "-t", ttl, b.ip4, check=False)
        hops.append("exceeded" if f"From {GATEWAY4}" in done.stdout else done.returncode)
    assert hops == ["exceeded", 0]
