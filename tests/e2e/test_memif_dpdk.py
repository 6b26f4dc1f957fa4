"""What DPDK's memif client can be told to do: several queues, buffer sizes, jumbo frames,
memory that is not copied."""

import re
import socket
from pathlib import Path

import pytest
from lab.memif_peer import MemifClient
from lab.node import node_config
from lab.packets import UDP, IPv6
from lab.run import wait_for
from lab.testpmd import Testpmd
from test_memif import link_up

pytestmark = pytest.mark.release_only

QUEUES = 4
IP_MTU_DISCOVER = 10


def datagrams(pod, address, flows, each=4):
    """Datagrams from as many ports as there are flows."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pod.netns.entered():
        sockets = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(flows)]
    for number in range(each):
        for one in sockets:
            one.sendto(bytes([number]) * 64, (address, 7000))
    for one in sockets:
        one.close()


def test_several_queues(node, pods):
    """Flows are spread over the client's queues, and what it sends on any of them arrives."""
    kernel = pods.kernel(node)
    memif = pods.memif(node, memif={"queues": QUEUES})
    with Testpmd(memif, "icmpecho", queues=QUEUES) as client:
        link_up(node, memif)
        datagrams(kernel, memif.ip4, 64)
        spread = lambda: client.queue_packets(0, "rx")
        wait_for(lambda: sum(spread()) >= 256, 10, "the datagrams at the client")
        assert len(spread()) == QUEUES and min(spread()) > 0, spread()
        kernel.ping(memif.ip4, count=5)


def test_queues_of_a_client_that_wants_fewer(node, pods):
    memif = pods.memif(node, memif={"queues": QUEUES})
    kernel = pods.kernel(node)
    with Testpmd(memif, "icmpecho", queues=2):
        link_up(node, memif)
        kernel.ping(memif.ip4)


def test_a_flow_keeps_its_order(node, pods):
    kernel = pods.kernel(node)
    memif = pods.memif(node, memif={"queues": QUEUES})
    with MemifClient(memif.socket_path, queues=QUEUES, log2_size=9) as client:
        link_up(node, memif)
        datagrams(kernel, memif.ip6, flows=32, each=8)
        last, queue_of = {}, {}
        for queue in range(QUEUES):
            while (raw := client.receive(1, queue)) is not None:
                packet = IPv6(raw[14:])
                if UDP not in packet or packet[UDP].dport != 7000:
                    continue
                flow = packet[UDP].sport
                assert queue_of.setdefault(flow, queue) == queue
                assert bytes(packet[UDP].payload)[0] == last.get(flow, -1) + 1
                last[flow] = last.get(flow, -1) + 1
        assert len(last) == 32 and set(last.values()) == {7}
        assert len(set(queue_of.values())) == QUEUES


@pytest.fixture
def jumbo_node(make_node):
    node = make_node(config=node_config(network={"mtu": 9000}))
    node.up()
    return node


def echo(pod, address, size, *options):
    """Whether an echo of this many bytes came back, byte for byte."""
    done = pod.run("ping", "-n", "-c", 3, "-i", "0.05", "-W", "2", "-s", size, *options, address,
                   check=False)
    assert "wrong data" not in done.stdout, done.stdout
    return " 0 received" not in done.stdout


@pytest.mark.parametrize("mbuf", [2176, 9728])
@pytest.mark.parametrize("buffer", [256, 2048, 9216, 65535])
def test_jumbo_frames(jumbo_node, pods, buffer, mbuf):
    """A 9000-byte packet in one buffer and in chains on both sides; 256 makes too many."""
    kernel = pods.kernel(jumbo_node)
    memif = pods.memif(jumbo_node)
    with Testpmd(memif, "icmpecho", device=f"bsize={buffer},rsize=8",
                 eal=("--no-huge", "-m", "256"), options=(f"--mbuf-size={mbuf}",)):
        link_up(jumbo_node, memif)
        fits = buffer * 16 >= 9014
        for size in (56, 1472, 2000, 8972):
            assert echo(kernel, memif.ip4, size, "-M", "do") == (fits or size < 4000)
        assert (jumbo_node.drops()["tx_too_long"] == 0) == fits


def test_the_ports_mtu_limits(jumbo_node, pods):
    kernel = pods.kernel(jumbo_node)
    memif = pods.memif(jumbo_node, mtu=1500)
    with Testpmd(memif, "icmpecho", device="bsize=9216") as client:
        link_up(jumbo_node, memif)
        assert not echo(kernel, memif.ip4, 8000, "-M", "do")
        told = kernel.run("ip", "route", "get", memif.ip4).stdout
        assert "mtu 1500" in told, "no ICMP error told the sender"
        before = client.rx_packets(0)
        with kernel.netns.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)
            udp.sendto(bytes(4000), (memif.ip4, 7000))
        wait_for(lambda: client.rx_packets(0) >= before + 3, 5, "three fragments")


@pytest.mark.parametrize("log2_size", [5, 14])
def test_smallest_and_largest_rings(node, pods, log2_size):
    kernel = pods.kernel(node)
    memif = pods.memif(node, memif={"ringSize": 1 << log2_size})
    with Testpmd(memif, "icmpecho", device=f"rsize={log2_size}", eal=("--no-huge", "-m", "512")):
        link_up(node, memif)
        kernel.ping(memif.ip4, count=200, options=("-i", "0.002"))
def zero_copy(memif):
    """testpmd whose memif works in its packet buffers, which nothing seals."""
    free = re.search(r"HugePages_Free: +(\d+)", Path("/proc/meminfo").read_text())
    if int(free[1]) < 64:
        pytest.skip("needs 64 free hugepages: net_memif copies, unless its memory is one file")
    return Testpmd(memif, "icmpecho", device="zero-copy=yes",
                   eal=("--in-memory", "-m", "128", "--single-file-segments"))


def test_zero_copy_client_of_a_trusted_port(node, pods):
    kernel = pods.kernel(node)
    memif = pods.memif(node, memif={"trusted": True})
    with zero_copy(memif):
        link_up(node, memif)
        kernel.ping(memif.ip4, count=100, options=("-i", "0.002"))


def test_zero_copy_client_is_refused_otherwise(node, pods):
    memif = pods.memif(node)
    with zero_copy(memif):
        wait_for(lambda: "F_SEAL_SHRINK" in node.ports()[memif.ip4]["detail"], 10, "the refusal")
        assert node.ports()[memif.ip4]["link"] == "down"
