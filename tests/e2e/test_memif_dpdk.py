"""What DPDK's memif client can be told to do: several queues, buffer sizes, jumbo frames,
memory that is not copied."""

import socket

from lab.memif_peer import MemifClient
from lab.packets import UDP, IPv6
from lab.run import wait_for
from lab.testpmd import Testpmd
from test_memif import link_up

QUEUES = 4


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
