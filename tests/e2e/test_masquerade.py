"""Pods that reach networks outside without a service: network.non_masquerade_cidrs."""

import pytest
from lab.node import node_config
from lab.packets import ICMP, IP, ICMPv6EchoRequest, IPv6, PacketSocket
from lab.run import wait_for
from lab.services import Datagrams, Outside, Server, apply, ask, compact, outlives_control

# The host outside by another address, which is of the list.
KEPT = {4: "198.18.5.5", 6: "2001:db8:5::5"}
NODE_CONFIG = node_config(
    network={"non_masquerade_cidrs": ["10.0.0.0/8", "198.18.5.0/24", "2001:db8:5::/64"]})


@pytest.fixture(scope="module")
def site(wide_site):
    for version in (4, 6):
        wide_site.outside.run("ip", "address", "add", KEPT[version], "dev", "eth0",
                              "preferred_lft", "0")  # never its source
        wide_site.node.run("ip", f"-{version}", "route", "add", KEPT[version], "via",
                           Outside.ADDRESS[version])
    wait_for(lambda: "masquerade" in wide_site.node.run("nft", "list", "ruleset").stdout, 10,
             "nftables' table")
    wide_site.outside.ifname = "eth0"
    server = Server(wide_site.outside, "outside")
    yield wide_site
    server.stop()


@pytest.mark.parametrize("version", [4, 6])
def test_clients_are_the_node_for_networks_outside(site, version):
    assert ask(site.client, Outside.ADDRESS[version], 8080).client == Outside.NODE[version]
    flow = Datagrams(site.client.netns, Outside.ADDRESS[version], 8080)
    try:
        assert flow.ask().client == Outside.NODE[version]
    finally:
        flow.close()


@pytest.mark.parametrize("version", [4, 6])
def test_networks_of_the_list_see_the_pod(site, version):
    assert ask(site.client, KEPT[version], 8080).client == site.client.addresses[version]


@pytest.mark.parametrize("version", [4, 6])
def test_two_pods_with_one_port_stay_apart(site, version):
    flows = [Datagrams(pod.netns, Outside.ADDRESS[version], 8080) for pod in (site.a, site.b)]
    try:
        for flow in flows:
            flow.ask()
        answers = [flow.ask() for flow in flows]
        assert answers[0].port != answers[1].port
    finally:
        for flow in flows:
            flow.close()


@pytest.mark.parametrize("version,layer,echo", [(4, IP, ICMP), (6, IPv6, ICMPv6EchoRequest)])
def test_echo_is_turned_back(site, version, layer, echo):
    with PacketSocket(site.outside) as wire:
        site.client.ping(Outside.ADDRESS[version])
        frame = wire.wait(lambda frame: echo in frame and frame[layer].dst == Outside.ADDRESS[version])
        assert frame[layer].src == Outside.NODE[version]


@pytest.mark.parametrize("version", [4, 6])
def test_icmp_errors_reach_the_pod(site, version):
    flow = Datagrams(site.client.netns, Outside.ADDRESS[version], 9)
    try:
        assert flow.ask() is ConnectionRefusedError
    finally:
        flow.close()


def test_an_endpoint_outside_sees_the_node_once(site):
    """The dataplane translates the service's address, the kernel the pod's."""
    apply(site.node, compact("far", vips=["10.96.4.10"], backends=[Outside.ADDRESS[4]]))
    answers = {ask(site.client, "10.96.4.10").client for _ in range(4)}
    assert answers == {Outside.NODE[4]}


@pytest.mark.parametrize("version", [4, 6])
def test_who_comes_from_outside_is_answered_as_before(site, version):
    answer = ask(site.outside, site.a.addresses[version], 8080)
    assert answer.server == "a"
    assert answer.client == Outside.ADDRESS[version]


def test_the_rules_stay_when_control_comes_back(site):
    before = site.node.run("nft", "list", "table", "inet", "weir").stdout
    flow = Datagrams(site.client.netns, Outside.ADDRESS[4], 8080)
    try:
        outlives_control(site.node, flow)
        assert site.node.run("nft", "list", "table", "inet", "weir").stdout == before
    finally:
        flow.close()
