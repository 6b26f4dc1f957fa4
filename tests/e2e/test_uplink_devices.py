"""Uplinks on other devices than one queue of net_af_packet."""

import os

import pytest
from lab.run import wait_for
from lab.services import Server, ask
from lab.site import DEVARGS, UPLINK, WIRE4, Site, uplink_config

PORT = 8080


def answer_across(site, pods, version):
    a, b = (pods.kernel(node) for node in site.nodes)
    server = Server(b, "b", PORT)
    try:
        assert ask(a, b.addresses[version], PORT).client == a.addresses[version]
    finally:
        server.stop()
    return a, b


@pytest.mark.parametrize("version", [4, 6])
def test_pcap(make_node, pods, version):
    site = Site(make_node, devargs=f"net_pcap0,iface={UPLINK},phy_mac=1")
    assert site.uplink(0)["uplink"]["driver"] == "net_pcap"
    answer_across(site, pods, version)


def test_ring(make_node, pods):
    """Its frames come back to it: weir asks for a neighbour and knows its own question."""
    node = make_node(config=uplink_config(0, devargs="net_ring0"))
    node.up()
    uplink = next(port for port in node.ctl("port", "list") if port["kind"] == "uplink")
    assert (uplink["link"], uplink["uplink"]["driver"]) == ("up", "net_ring")
    before = node.drops()["rx_own_mac"]
    pod = pods.kernel(node)
    done = pod.run("ping", "-n", "-c", "1", "-W", "6", WIRE4.format(2), check=False)
    assert "nreachable" in done.stdout
    wait_for(lambda: node.drops()["rx_own_mac"] > before, 5, "the question, from the ring")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores for two workers")
def test_two_queues(make_node, pods):
    """The kernel spreads flows over the device's queues, one a worker."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    site = Site(make_node, devargs=f"{DEVARGS},qpairs=2", workers=cores)
    device = site.uplink(1)["uplink"]
    assert (device["rx_queues"], device["tx_queues"]) == (2, 2)
    a, b = answer_across(site, pods, 4)
    received = lambda: [int(worker["packets"]) for worker in site.nodes[1].ctl("worker", "show")]
    before = received()
    for port in range(5201, 5217):  # 16 flows: all on one queue once in 2 ** 15 runs
        a.run("ping", "-nqc1", "-W1", b.ip4)
        a.run("/usr/bin/python3", "-c",
              f"import socket; socket.socket(2, 2).sendto(b'x', ('{b.ip4}', {port}))")
    spread = lambda: all(now > then for now, then in zip(received(), before, strict=True))
    wait_for(spread, 5, "packets on both workers")
