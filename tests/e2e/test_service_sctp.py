"""SCTP through services, packet by packet: the kernels of test machines often have no SCTP, so
scapy plays both ends from the pods' interfaces."""

from types import SimpleNamespace

import pytest
from lab.node import GATEWAY_MAC
from lab.packets import IP, Ether, IPv6, PacketSocket
from lab.services import apply, compact
from scapy.layers.sctp import SCTP, SCTPChunkInit, SCTPChunkInitAck

VIP = {4: "10.96.6.10", 6: "fd00:96:6::10"}
LAYER = {4: IP, 6: IPv6}
CLIENT_PORT, SERVICE_PORT, SERVER_PORT = 36000, 36412, 36413


@pytest.fixture
def site(node, pods):
    here = SimpleNamespace(node=node, client=pods.kernel(node, "client"),
                           server=pods.kernel(node, "server"))
    apply(node, compact("sctp", vips=VIP.values(), backends=[here.server],
                        ports=[f"{SERVICE_PORT}/sctp->{SERVER_PORT}"]))
    return here


def packet(pod, version, to, ports, chunk):
    ip = LAYER[version](src=pod.addresses[version], dst=to)
    if version == 6:
        ip.nh = 132
    return Ether(src=pod.mac, dst=GATEWAY_MAC) / ip / SCTP(sport=ports[0], dport=ports[1]) / chunk


def received(wire, version):
    """The next SCTP packet, whose CRC32c must be what scapy makes of it. The server's kernel
    refuses what it does not know, so ICMP errors that quote one come by, too."""
    layer, field = LAYER[version], {4: "proto", 6: "nh"}[version]
    frame = wire.wait(lambda frame: layer in frame and getattr(frame[layer], field) == 132)
    assert frame is not None
    again = frame[SCTP].copy()
    again.chksum = None
    assert SCTP(bytes(again)).chksum == frame[SCTP].chksum
    return frame[layer], frame[SCTP]


@pytest.mark.parametrize("version", [4, 6])
def test_an_association_is_translated_both_ways(site, version):
    with PacketSocket(site.client) as client, PacketSocket(site.server) as server:
        client.send(packet(site.client, version, VIP[version], (CLIENT_PORT, SERVICE_PORT),
                           SCTPChunkInit(init_tag=7)))
        ip, sctp = received(server, version)
        assert (ip.src, ip.dst) == (site.client.addresses[version], site.server.addresses[version])
        assert (sctp.sport, sctp.dport) == (CLIENT_PORT, SERVER_PORT)
        assert sctp[SCTPChunkInit].init_tag == 7
        server.send(packet(site.server, version, site.client.addresses[version],
                           (SERVER_PORT, CLIENT_PORT), SCTPChunkInitAck(init_tag=8)))
        ip, sctp = received(client, version)
        assert (ip.src, ip.dst) == (VIP[version], site.client.addresses[version])
        assert (sctp.sport, sctp.dport) == (SERVICE_PORT, CLIENT_PORT)
    listed = site.node.ctl("conn", "list", "--protocol", "sctp", "--address", VIP[version])
    assert [connection["phase"] for connection in listed] == ["open"]


def test_without_endpoints_the_client_is_refused(site):
    apply(site.node, compact("sctp", vips=VIP.values(), ports=[f"{SERVICE_PORT}/sctp"]))
    before = site.node.drops()["service_no_backend"]
    with PacketSocket(site.client) as client:
        client.send(packet(site.client, 4, VIP[4], (CLIENT_PORT + 1, SERVICE_PORT),
                           SCTPChunkInit(init_tag=7)))
        frame = client.wait(lambda frame: IP in frame and frame[IP].proto == 1)
    assert (frame["ICMP"].type, frame["ICMP"].code) == (3, 3)
    assert site.node.drops()["service_no_backend"] == before + 1
