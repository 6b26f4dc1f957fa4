"""Memif pods in IP mode, with a client of our own: packets without a link header."""

import pytest
from lab.memif_peer import Disconnected, MemifClient
from lab.packets import IP, UDP, IPv6, PacketSocket
from lab.run import wait_for
from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest
from test_memif import link_up

IP_MODE = {"memif": {"mode": "ip"}}


@pytest.fixture
def ip_pod(node, pods):
    return pods.memif(node, **IP_MODE)


def packets_of(client, wanted, seconds=3):
    """The first packet from weir for which wanted(packet) holds, parsed by its version."""
    while (raw := client.receive(seconds)) is not None:
        packet = (IP if raw[0] >> 4 == 4 else IPv6)(raw)
        if wanted(packet):
            return packet
    return None


def test_result_has_no_mac(node, ip_pod):
    (interface,) = [i for i in ip_pod.result["interfaces"] if i.get("socketPath")]
    assert "mac" not in interface
    port = node.ports()[ip_pod.ip4]
    assert port["memif"]["mode"] == "ip"


@pytest.mark.parametrize("version", [4, 6])
def test_packets_both_ways(node, pods, ip_pod, version):
    kernel = pods.kernel(node)
    header = {4: IP, 6: IPv6}[version]
    with MemifClient(ip_pod.socket_path, mode="ip") as client:
        link_up(node, ip_pod)
        there = header(src=ip_pod.addresses[version], dst=kernel.addresses[version])
        with PacketSocket(kernel) as at_kernel:
            client.send(there / UDP(sport=5, dport=6) / (b"x" * 900))
            seen = at_kernel.wait(lambda frame: UDP in frame and frame[UDP].sport == 5)
        assert seen is not None and bytes(seen[UDP].payload) == b"x" * 900
        echo = {4: ICMP(id=7), 6: ICMPv6EchoRequest(id=7)}[version]
        client.send(there / echo / b"and back")
        reply = {4: ICMP, 6: ICMPv6EchoReply}[version]
        answer = packets_of(client, lambda packet: reply in packet and packet[reply].id == 7)
        assert answer is not None and answer[header].dst == ip_pod.addresses[version]


def test_gateway_answers_and_hops_are_reported(node, pods, ip_pod):
    kernel = pods.kernel(node)
    with MemifClient(ip_pod.socket_path, mode="ip") as client:
        link_up(node, ip_pod)
        client.send(IP(src=ip_pod.ip4, dst="10.244.0.1") / ICMP(id=8))
        assert packets_of(client, lambda p: ICMP in p and p[ICMP].type == 0 and p[ICMP].id == 8)
        dying = IPv6(src=ip_pod.ip6, dst=kernel.ip6, hlim=1) / UDP(sport=5, dport=6) / (b"y" * 1200)
        client.send(dying)
        error = packets_of(client, lambda p: IPv6 in p and p.nh == 58 and bytes(p)[40] == 3)
        assert error is not None and len(error) == 1280, "the error quotes what fits"


def test_spoofed_and_foreign_packets_are_named_drops(node, pods, ip_pod):
    kernel = pods.kernel(node)
    before = node.drops()
    with MemifClient(ip_pod.socket_path, mode="ip") as client:
        link_up(node, ip_pod)
        client.send(IP(src=kernel.ip4, dst=kernel.ip4) / UDP(sport=1, dport=2))
        client.send(b"\x50" + bytes(59))  # version 5
        dropped = lambda name: node.drops()[name] - before[name]
        wait_for(lambda: dropped("source_ip4") == 1 and dropped("parse_ethertype") == 1, 5, "drops")


def test_mode_must_fit(node, ip_pod):
    with pytest.raises(Disconnected, match="in IP mode"):
        MemifClient(ip_pod.socket_path)
    with MemifClient(ip_pod.socket_path, mode="ip"):
        link_up(node, ip_pod)


def test_unknown_mode_is_refused(node, pods):
    pod = pods.bare(node, port="memif", memif={"mode": "punt"})
    answer = pod.call("ADD", pod.netns.path)
    assert answer.code != 0
    assert answer.json["code"] == 7 and "memif.mode" in answer.json["msg"]
