"""A memif pod, with DPDK's testpmd as its client."""

import errno
import os
import re
import socket
import stat
from pathlib import Path

import pytest
from lab.node import GATEWAY_MAC, node_config
from lab.packets import IP, TCP, UDP, Ether, Frame, IPv6, PacketSocket, checksum_fault
from lab.run import run, wait_for
from lab.testpmd import Testpmd
from scapy.utils import PcapReader, wrpcap


def link_up(node, pod):
    wait_for(lambda: node.ports()[pod.ip4]["link"] == "up", 10, "memif link")


@pytest.fixture
def memif(node, pods):
    return pods.memif(node)


def test_result_names_the_socket(node, memif):
    mode = (node.run_dir / "pods").stat().st_mode
    assert stat.S_IMODE(mode) & 0o007 == 0, "the sockets' directory is open to everybody"
    assert memif.socket_path.startswith(str(node.run_dir / "pods") + "/")
    interface = next(i for i in memif.result["interfaces"] if i.get("socketPath"))
    assert interface["mtu"] == 1500
    assert Path(memif.socket_path).is_socket()


def test_weirctl_shows_the_connection(node, pods, memif):
    kernel = pods.kernel(node)
    with Testpmd(memif, "icmpecho"):
        link_up(node, memif)
        kernel.ping(memif.ip4, count=5)
        state = node.ctl("port", "show", memif.ip4)["memif"]
        assert state["role"] == "server" and state["mode"] == "ethernet"
        assert state["peer"]["name"].startswith("DPDK")
        assert state["peer"]["interface"] == "net_memif0"
        assert state["peer"]["pid"] > 0 and state["connections"] == 1
        assert [ring["direction"] for ring in state["rings"]] == ["rx", "tx"]
        assert all(ring["packets"] >= 5 and ring["size"] == 1024 for ring in state["rings"])
        assert state["regions"] == 1 and state["region_bytes"] > 0
        assert "net_memif0" in node.ctl_raw("port", "show", memif.ip4).stdout
    wait_for(lambda: node.ports()[memif.ip4]["memif"]["last_end"], 10, "end of the link")
    assert node.ports()[memif.ip4]["memif"]["rings"] == []


def test_socket_owner_group_and_mode(make_node, pods):
    node = make_node(config=node_config(
        network={"socket_owner": "65534", "socket_group": "65533", "socket_mode": "0640"}))
    node.up()
    memif = pods.memif(node)
    own = pods.memif(node, memif={"socketUid": 4711, "socketMode": 0o600})
    assert access(memif) == (65534, 65533, 0o640)
    assert access(own) == (4711, 65533, 0o600)
    node.kill("dataplane")
    os.chmod(memif.socket_path, 0o777)
    node.up()
    wait_for(lambda: memif.ip4 in node.ports(), 15, "the port after the restart")
    assert access(memif) == (65534, 65533, 0o640), "a restart asserts them again"


def access(pod):
    status = Path(pod.socket_path).stat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


def test_answers_echo(node, pods, memif):
    kernel = pods.kernel(node)
    with Testpmd(memif, "icmpecho"):
        link_up(node, memif)
        kernel.ping(memif.ip4, count=5)
        assert node.ports()[memif.ip4]["peer_name"]


def test_no_client_is_a_named_drop(node, pods, memif):
    kernel = pods.kernel(node)
    before = node.drops()["tx_port_down"]
    kernel.ping(memif.ip4, count=1, check=False)
    assert node.drops()["tx_port_down"] > before


def test_client_comes_and_goes(node, pods, memif):
    kernel = pods.kernel(node)
    for _ in range(3):
        with Testpmd(memif, "icmpecho"):
            link_up(node, memif)
            kernel.ping(memif.ip4)
        wait_for(lambda: node.ports()[memif.ip4]["link"] == "down", 10, "end of the link")


def test_killed_client(node, pods, memif):
    kernel = pods.kernel(node)
    with Testpmd(memif, "icmpecho") as client:
        link_up(node, memif)
        kernel.ping(memif.ip4)
        client.process.kill()
        wait_for(lambda: node.ports()[memif.ip4]["link"] == "down", 10, "end of the link")
    with Testpmd(memif, "icmpecho"):
        link_up(node, memif)
        kernel.ping(memif.ip4)


def capture_at(node, memif, tmp_path, traffic):
    """Frames that the memif client received while traffic() ran."""
    written = tmp_path / "received.pcap"
    silence = tmp_path / "silence.pcap"
    wrpcap(str(silence), [])
    device = f"net_pcap0,rx_pcap={silence},tx_pcap={written}"
    with Testpmd(memif, "io", vdevs=[device]) as client:
        link_up(node, memif)
        received = lambda: int(client.rx_packets(0))
        before = received()
        expected = traffic()
        wait_for(lambda: received() >= before + expected, 5, "the packets at the memif port")
    return [Frame(bytes(frame), False) for frame in PcapReader(str(written))]


@pytest.mark.parametrize("version", [4, 6])
def test_checksums_are_whole_at_the_memif_side(node, pods, memif, tmp_path, version):
    """memif knows no offload: what the kernel left open, weir completes."""
    kernel = pods.kernel(node)
    address = memif.addresses[version]
    family = {4: socket.AF_INET, 6: socket.AF_INET6}[version]

    def traffic():
        """Three datagrams and the first segment of a connection; the kernel sums neither."""
        with kernel.netns.entered():
            udp = socket.socket(family, socket.SOCK_DGRAM)
            tcp = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with udp, tcp:
            for length in (0, 1, 1300):
                udp.sendto((bytes(range(256)) * 6)[:length], (address, 7000))
            assert tcp.connect_ex((address, 7000)) == errno.EINPROGRESS
        return 4

    frames = capture_at(node, memif, tmp_path, traffic)
    assert len([frame for frame in frames if UDP in frame]) == 3
    assert len([frame for frame in frames if TCP in frame]) >= 1
    assert all(frame[Ether].dst == memif.mac for frame in frames)
    assert [fault for frame in frames if (fault := checksum_fault(frame))] == []
    # A second opinion, from a program that shares no code with ours.
    opinion = run("tcpdump", "-nvv", "-r", tmp_path / "received.pcap").stdout
    assert len(re.findall(r"udp sum ok|\(correct\)", opinion)) >= 4, opinion
    assert not re.search("bad|incorrect", opinion), opinion


def replay(node, memif, tmp_path, frames, arrived):
    """The memif client sends these frames; returns arrived()'s first true value."""
    script = tmp_path / "script.pcap"
    wrpcap(str(script), frames)
    device = f"net_pcap0,rx_pcap={script},tx_pcap={tmp_path / 'answers.pcap'}"
    with Testpmd(memif, "io", vdevs=[device], start=False) as client:
        link_up(node, memif)
        client.command("start")
        return arrived()


def test_spoofed_frames_from_memif(node, pods, memif, tmp_path):
    kernel, victim = pods.kernel(node), pods.kernel(node, "victim")
    ether = Ether(src=memif.mac, dst=GATEWAY_MAC)
    lie4 = ether / IP(src=victim.ip4, dst=kernel.ip4) / UDP(sport=1, dport=2) / b"lie"
    lie6 = ether / IPv6(src=victim.ip6, dst=kernel.ip6) / UDP(sport=1, dport=2) / b"lie"
    truth = ether / IP(src=memif.ip4, dst=kernel.ip4) / UDP(sport=1, dport=2) / b"truth"
    before = node.drops()
    with PacketSocket(kernel) as at_kernel:
        seen = replay(
            node, memif, tmp_path, [lie4, lie6, truth],
            lambda: at_kernel.wait(lambda frame: UDP in frame),
        )
        assert seen and bytes(seen[UDP].payload).startswith(b"truth")
        assert not [frame for frame in at_kernel.drain() if UDP in frame]
    after = node.drops()
    assert after["source_ip4"] == before["source_ip4"] + 1
    assert after["source_ip6"] == before["source_ip6"] + 1


def test_delete_removes_the_socket(node, memif):
    assert memif.delete().code == 0
    assert not Path(memif.socket_path).exists()
    assert memif.ip4 not in node.ports()


def test_pod_on_memif_through_a_kernel_stack(node, pods, memif):
    """testpmd joins the memif to a tap in the pod: TCP in both directions."""
    kernel = pods.kernel(node)
    with Testpmd(memif, "io", vdevs=["net_tap0,iface=memtap"]):
        link_up(node, memif)
        memif.configure("memtap")
        for version in (4, 6):
            kernel.ping(memif.addresses[version])
            report = tcp_into_tap(kernel, memif, version)
            assert report["end"]["sum_received"]["bytes"] > 100_000


def tcp_into_tap(kernel, memif, version):
    server = memif.netns.start("iperf3", "-s", "-1")
    try:
        wait_for(lambda: ":5201 " in memif.run("ss", "-Hltn").stdout, 10, "iperf3 server")
        return kernel.iperf(memif.addresses[version], seconds=1)
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()
