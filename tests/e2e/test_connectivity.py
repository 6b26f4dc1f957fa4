"""Pods, gateway and node reach each other over both families, through weir alone."""

import pytest
from lab.node import GATEWAY4, GATEWAY6, GATEWAY_MAC


def host_address(node, version):
    """The node's own address on weir0."""
    family = {4: "inet", 6: "inet6"}[version]
    link = node.netns.json("ip", "-j", "address", "show", "dev", "weir0")[0]
    return next(
        address["local"]
        for address in link["addr_info"]
        if address["family"] == family and address["scope"] == "global"
    )


def test_pods_ping_each_other(pair):
    a, b = pair
    for version in (4, 6):
        a.ping(b.addresses[version])
        b.ping(a.addresses[version])


def test_pod_pings_gateway(pair):
    a, _ = pair
    a.ping(GATEWAY4)
    a.ping(GATEWAY6)


def test_full_size_packets_pass(pair):
    a, b = pair
    a.ping(b.ip4, options=("-s", "1472", "-M", "do"))
    a.ping(b.ip6, options=("-s", "1452", "-M", "do"))


def test_fragments_pass(pair):
    a, b = pair
    a.ping(b.ip4, options=("-s", "4000"))
    a.ping(b.ip6, options=("-s", "4000"))


@pytest.mark.parametrize("version", [4, 6])
def test_node_and_pods_reach_each_other(node, pair, version):
    for pod in pair:
        node.run("ping", "-nq", "-c2", "-i0.05", "-W2", pod.addresses[version])
        pod.ping(host_address(node, version))


def test_pod_reaches_an_address_of_the_node(node, pair):
    """Any address of the node, not just weir0's: the default route leads there."""
    node.run("ip", "address", "replace", "192.0.2.7/32", "dev", "lo")
    node.run("ip", "address", "replace", "2001:db8::7/128", "dev", "lo")
    pair[0].ping("192.0.2.7")
    pair[0].ping("2001:db8::7")


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_flows(pair, version):
    a, b = pair
    report = a.iperf_to(b, version, seconds=1)
    assert report["end"]["sum_received"]["bits_per_second"] > 10e6


@pytest.mark.parametrize("version", [4, 6])
def test_udp_flows(pair, version):
    a, b = pair
    report = a.iperf_to(b, version, "-u", "-b", "20M", "-l", "1200", seconds=1)
    assert report["end"]["sum"]["lost_percent"] < 1


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_between_node_and_pod(node, pair, version):
    pod = pair[0]
    server = pod.iperf_server()
    try:
        node.run("iperf3", "-c", pod.addresses[version], "-t", "1")
    finally:
        server.wait(10)


def test_no_bridge_or_veth_on_the_way(node, pair):
    for netns in (node.netns, *[pod.netns for pod in pair]):
        links = netns.links()
        kinds = {link["ifname"]: link.get("linkinfo", {}).get("info_kind") for link in links}
        assert kinds and set(kinds.values()) == {"tun"}, kinds


def test_interface_in_the_pod(pair):
    a, _ = pair
    assert a.link()["mtu"] == 1500
    assert a.link()["address"] == a.mac
    assert "LOWER_UP" in a.link()["flags"]
    loopback = a.netns.json("ip", "-j", "link", "show", "dev", "lo")[0]
    assert "UP" in loopback["flags"]


@pytest.mark.parametrize(("version", "gateway"), [(4, GATEWAY4), (6, GATEWAY6)])
def test_routes_in_the_pod(pair, version, gateway):
    routes = pair[0].netns.json("ip", f"-{version}", "-j", "route", "show")
    default = next(route for route in routes if route["dst"] == "default")
    assert default["gateway"] == gateway
    neighbours = pair[0].netns.json("ip", f"-{version}", "-j", "neigh", "show")
    assert {"PERMANENT"} == {
        state for n in neighbours if n["dst"] == gateway for state in n["state"]
    }
    assert all(n["lladdr"] == GATEWAY_MAC for n in neighbours if n["dst"] == gateway)
