"""Pods behind an uplink whose hosts outside know no way to pods: network.non_masquerade_cidrs."""

from types import SimpleNamespace

import pytest
from conftest import Pods, close_node, open_node
from lab.netns import Netns
from lab.packets import ICMP, IP, ICMPv6EchoRequest, IPv6, PacketSocket
from lab.pod import KernelPod
from lab.run import run
from lab.services import Connection, Datagrams, Server, ask, outlives_control
from lab.site import POD_CIDRS, UPLINK, WIRE4, WIRE6, join, uplink_config

NODE = {4: WIRE4.format(1), 6: WIRE6.format(1)}
HOST = {4: WIRE4.format(9), 6: WIRE6.format(9)}
KEPT = {4: WIRE4.format(77), 6: WIRE6.format(77)}  # the host by another address, of the list
FLOWS = 100  # of each pod, all with the same ports


class Host:
    """A host on the uplink's network."""

    iperf_server = KernelPod.iperf_server

    def __init__(self, node):
        self.netns, self.ifname, self.addresses = Netns("host"), UPLINK, HOST
        join(node.netns, self.netns)
        self.run("ip", "link", "set", "lo", "up")
        self.run("sysctl", "-qw", f"net.ipv6.conf.{UPLINK}.disable_ipv6=0")
        self.run("ethtool", "-K", UPLINK, "tx", "off")
        # The second one is deprecated, so that answers to datagrams come from the first.
        for address, lifetime in ((HOST, "forever"), (KEPT, "0")):
            self.run("ip", "address", "add", f"{address[4]}/24", "dev", UPLINK)
            self.run("ip", "address", "add", f"{address[6]}/64", "dev", UPLINK, "nodad",
                     "preferred_lft", lifetime)

    def run(self, *command, **options):
        return self.netns.run(*command, **options)


@pytest.fixture(scope="module")
def site():
    kept = ["10.0.0.0/8", "fd00::/8", KEPT[4] + "/32", KEPT[6] + "/128"]
    here = SimpleNamespace(
        node=open_node(config=uplink_config(0, non_masquerade_cidrs=kept, routes=[])), made=Pods(),
        servers=[])
    try:
        here.host = Host(here.node)
        here.node.up()
        here.a, here.b = (here.made.kernel(here.node, stem) for stem in ("a", "b"))
        here.servers = [Server(here.host, "host"), Server(here.a, "a")]
        yield here
    finally:
        for server in here.servers:
            server.stop()
        here.made.close()
        if hasattr(here, "host"):
            here.host.netns.delete()
        close_node(here.node)


@pytest.mark.parametrize("version", [4, 6])
def test_the_host_sees_the_node_and_answers(site, version):
    assert site.host.run("ip", "route", "get", site.a.addresses[version], check=False).returncode != 0
    assert ask(site.a, HOST[version], 8080).client == NODE[version]
    flow = Datagrams(site.a.netns, HOST[version], 8080)
    try:
        assert flow.ask().client == NODE[version]
    finally:
        flow.close()


@pytest.mark.parametrize("version", [4, 6])
def test_bulk_transfers_pass(site, version):
    """With segmentation and checksums left to the tap."""
    report = site.a.iperf_to(site.host, version, seconds=1)
    assert report["end"]["sum_received"]["bits_per_second"] > 10e6


@pytest.mark.parametrize("version,layer,echo", [(4, IP, ICMP), (6, IPv6, ICMPv6EchoRequest)])
def test_echo_is_turned_back(site, version, layer, echo):
    with PacketSocket(site.host) as wire:
        site.a.ping(HOST[version], options=("-s", "3000"))  # in fragments
        site.a.ping(HOST[version])
        frame = wire.wait(lambda frame: echo in frame and frame[layer].dst == HOST[version])
        assert frame[layer].src == NODE[version]


@pytest.mark.parametrize("version", [4, 6])
def test_icmp_errors_reach_the_pod(site, version):
    flow = Datagrams(site.a.netns, HOST[version], 9)
    try:
        assert flow.ask() is ConnectionRefusedError
    finally:
        flow.close()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", [Connection, Datagrams])
def test_many_flows_with_the_same_ports_stay_apart(site, kind, version):
    first = 20000 + 1000 * version  # an IPv6 socket's port is taken for IPv4 as well
    flows = [kind(pod.netns, HOST[version], 8080, source_port=first + i)
             for i in range(FLOWS) for pod in (site.a, site.b)]
    try:
        answers = [flow.ask() for flow in flows]
        assert {answer.client for answer in answers} == {NODE[version]}
        assert len({answer.port for answer in answers}) == 2 * FLOWS
        assert [flow.ask() for flow in flows] == answers
    finally:
        for flow in flows:
            flow.close()


@pytest.fixture
def routed(site):
    """The host knows the way to pods."""
    for version, prefix in zip((4, 6), POD_CIDRS[0], strict=True):
        site.host.run("ip", f"-{version}", "route", "add", prefix, "via", NODE[version])
    yield
    for version, prefix in zip((4, 6), POD_CIDRS[0], strict=True):
        site.host.run("ip", f"-{version}", "route", "del", prefix)


@pytest.mark.usefixtures("routed")
@pytest.mark.parametrize("version", [4, 6])
def test_networks_of_the_list_see_the_pod(site, version):
    assert ask(site.a, KEPT[version], 8080).client == site.a.addresses[version]


@pytest.mark.usefixtures("routed")
@pytest.mark.parametrize("version", [4, 6])
def test_a_pod_answers_with_its_own_address(site, version):
    """Who sends to it knows it: the answer would not be taken for one otherwise."""
    address = site.a.addresses[version]
    assert ask(site.host, address, 8080).server == "a"
    run(*site.host.netns.command("ping", "-nqc1", "-W2", "-s", "3000", address))
    flow = Datagrams(site.host.netns, address, 8080)
    try:
        assert flow.ask().server == "a"
    finally:
        flow.close()


def test_trace_route_and_the_list_of_connections_show_it(site):
    trace = site.node.ctl("trace", "route", "--from", site.a.ip4, "--to", f"{HOST[4]}:8080")
    assert trace["verdict"] == "delivered"
    assert trace["masquerade"] == {"address": NODE[4], "port": None, "ports": [1024, 65535]}
    flow = Datagrams(site.a.netns, HOST[4], 8080)
    try:
        port = flow.ask().port
        listed = site.node.ctl("conn", "list", "--address", HOST[4])
        assert {"address": NODE[4], "port": port} in [one["masquerade"] for one in listed]
    finally:
        flow.close()


def test_flows_outlive_the_control_process(site):
    flow = Datagrams(site.a.netns, HOST[4], 8080)
    try:
        outlives_control(site.node, flow)
    finally:
        flow.close()
