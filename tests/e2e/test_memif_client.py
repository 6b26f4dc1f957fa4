"""The client role: weir connects to the socket of a program in the pod."""

import os

import pytest
from lab.memif_peer import MemifServer
from lab.node import GATEWAY_MAC, node_config
from lab.packets import IP, UDP, Ether, IPv6, PacketSocket
from lab.run import wait_for
from lab.testpmd import Testpmd
from scapy.layers.inet import ICMP
from test_memif import link_up


@pytest.fixture
def memif(node, pods, tmp_path):
    """A pod whose program makes the socket."""
    return pods.memif(node, memif=client_role(tmp_path))


def client_role(tmp_path, **more):
    return {"role": "client", "path": str(tmp_path / "vnf.sock"), **more}


def test_result_names_the_servers_socket(memif, tmp_path):
    assert memif.socket_path == str(tmp_path / "vnf.sock")


@pytest.mark.parametrize("queues", [1, 4])
def test_dpdk_server(node, pods, tmp_path, queues):
    kernel = pods.kernel(node)
    memif = pods.memif(node, memif=client_role(tmp_path, queues=queues))
    # Polling queues while they are being connected can end testpmd: start it later.
    with Testpmd(memif, "icmpecho", role="server", queues=queues, start=False) as server:
        link_up(node, memif)
        server.command("start")
        kernel.ping(memif.ip4, count=200, options=("-i", "0.002"))
        kernel.ping(memif.ip4, count=5, options=("-s", "1400"))
    wait_for(lambda: node.ports()[memif.ip4]["link"] == "down", 10, "end of the link")


def test_server_dies_and_comes_back(node, pods, memif):
    kernel = pods.kernel(node)
    for _ in range(3):
        with Testpmd(memif, "icmpecho", role="server") as server:
            link_up(node, memif)
            kernel.ping(memif.ip4)
            server.process.kill()
            wait_for(lambda: node.ports()[memif.ip4]["link"] == "down", 10, "end of the link")
        os.unlink(memif.socket_path)  # a killed server leaves it, and DPDK's wants none
    assert "no server" in wait_for(
        lambda: "no server" in (detail := node.ports()[memif.ip4]["detail"]) and detail, 10, "why")


@pytest.mark.parametrize("mode", ["ethernet", "ip"])
def test_frames_and_packets_both_ways(node, pods, tmp_path, mode):
    kernel = pods.kernel(node)
    memif = pods.memif(node, memif=client_role(tmp_path, mode=mode, secret="sesame", queues=2))
    link = Ether(src=memif.mac, dst=GATEWAY_MAC) if mode == "ethernet" else None
    with MemifServer(memif.socket_path, mode, queues=2, secret="sesame") as server:
        server.accept()
        link_up(node, memif)
        assert server.name.startswith("weir ") and server.interface == memif.ifname
        with PacketSocket(kernel) as at_kernel:
            for queue, header in enumerate([IP(src=memif.ip4, dst=kernel.ip4),
                                            IPv6(src=memif.ip6, dst=kernel.ip6)]):
                packet = header / UDP(sport=40 + queue, dport=6) / (b"z" * 1200)
                server.send(link / packet if link else packet, queue)
                seen = at_kernel.wait(lambda f: UDP in f and f[UDP].sport == 40 + queue)
                assert seen is not None and bytes(seen[UDP].payload) == b"z" * 1200
        echo = IP(src=memif.ip4, dst="10.244.0.1") / ICMP(id=9) / bytes(1000)
        server.send(link / echo if link else echo)
        answer = wait_for(lambda: reply_in(server, link), 5, "the gateway's answer")
        assert answer[ICMP].id == 9 and bytes(answer[ICMP].payload) == bytes(1000)


def reply_in(server, link):
    raw = server.receive()
    packet = raw and (Ether(raw) if link else IP(raw))
    return packet if packet and ICMP in packet and packet[ICMP].type == 0 else None


def test_jumbo_over_chained_buffers(make_node, pods, tmp_path):
    node = make_node(config=node_config(network={"mtu": 9000}))
    node.up()
    kernel = pods.kernel(node)
    memif = pods.memif(node, memif=client_role(tmp_path, bufferSize=1024))
    with Testpmd(memif, "icmpecho", role="server"):
        link_up(node, memif)
        kernel.ping(memif.ip4, count=20, options=("-s", "8972", "-M", "do"))


def test_dataplane_restart_connects_again(own_node, pods, tmp_path):
    kernel = pods.kernel(own_node)
    memif = pods.memif(own_node, memif=client_role(tmp_path))
    # Polling queues that are taken away can end testpmd: start it when they are back.
    with Testpmd(memif, "icmpecho", role="server", start=False) as server:
        link_up(own_node, memif)
        own_node.kill("dataplane")
        own_node.up()
        wait_for(lambda: own_node.ports().get(memif.ip4, {}).get("link") == "up", 15, "the link")
        server.command("start")
        kernel.ping(memif.ip4)


@pytest.mark.parametrize("memif, complaint", [
    ({"role": "client"}, "memif.path"),
    ({"role": "client", "path": "here.sock"}, "memif.path"),
    ({"role": "client", "path": "/" + "x" * 107}, "107 bytes"),
    ({"role": "master"}, "memif.role"),
    ({"path": "/run/vnf.sock"}, "role \"client\""),
])
def test_bad_roles_are_refused(node, pods, memif, complaint):
    pod = pods.bare(node, port="memif", memif=memif)
    answer = pod.call("ADD", pod.netns.path)
    assert answer.json["code"] == 7 and complaint in answer.json["msg"]
