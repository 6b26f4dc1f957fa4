"""Services' addresses: conformance section 3, lines 1, 2, 4 and 8."""

import pytest
from lab import services
from lab.run import wait_for
from lab.services import Datagrams, Outside, Server, apply, ask, compact, is_refused, servers_of

VIP4, VIP6 = "10.96.0.10", "fd00:96::10"
EXTERNAL, BALANCER = "203.0.113.7", "203.0.113.8"
NODE_PORT = 30080


@pytest.fixture(scope="module")
def site(wide_site):
    apply(wide_site.node, compact(
        vips=(VIP4, VIP6), backends=(wide_site.a, wide_site.b), external_ips=[EXTERNAL],
        ingress_ips=[BALANCER], ports=[f"80/tcp->8080@{NODE_PORT}", "53/udp->8080"],
    ))
    return wide_site


@pytest.fixture(params=["pod", "host", "outside"])
def client(request, site):
    return {"pod": site.client, "host": site.node, "outside": site.outside}[request.param]


@pytest.mark.parametrize("vip", [VIP4, VIP6])
def test_cluster_ip_balances_for_pods_and_the_node(site, vip):
    assert servers_of(site.client, vip) == {"a", "b"}
    assert servers_of(site.node, vip) == {"a", "b"}


@pytest.mark.parametrize("address", [VIP4, EXTERNAL, BALANCER])
def test_addresses_are_reached_from_everywhere(site, client, address):
    assert servers_of(client, address) == {"a", "b"}


@pytest.mark.parametrize("version", [4, 6])
def test_node_ports_are_reached_from_everywhere(site, client, version):
    address = Outside.NODE[version]
    wait_for(lambda: services.curl(client, address, NODE_PORT).returncode == 0, 15, "the NodePort")
    assert servers_of(client, address, NODE_PORT) == {"a", "b"}


def test_other_ports_of_the_node_stay_its_own(site, client):
    """A NodePort takes its port and leaves the address's others to the kernel."""
    server = Server(site.node, "node", 9090)
    try:
        assert ask(client, Outside.NODE[4], 9090).server == "node"
    finally:
        server.stop()


def test_udp_keeps_its_server(site):
    flow = Datagrams(site.client.netns, VIP4, 53)
    try:
        names = {flow.ask().server for _ in range(10)}
        assert len(names) == 1
    finally:
        flow.close()


def test_pods_keep_their_address_towards_cluster_ips(site):
    assert ask(site.client, VIP4).client == site.client.ip4
    assert ask(site.client, VIP6).client == site.client.ip6


def test_a_pod_reaches_itself(site):
    """Hairpin: the server sees the gateway, or it would answer itself."""
    for _ in range(24):
        answer = ask(site.a, VIP4)
        assert answer.client == ("10.244.0.1" if answer.server == "a" else site.a.ip4)


def test_a_port_without_service_is_refused(site):
    assert is_refused(site.client, VIP4, 81)


def test_ping_answers(site):
    site.client.ping(VIP4)
    site.client.ping(VIP6)


def test_skipped_services_are_not_served(site):
    document = {
        "kind": "Service",
        "metadata": {"name": "other", "labels": {"service.kubernetes.io/service-proxy-name": "x"}},
        "spec": {"clusterIP": "10.96.0.99", "ports": [{"port": 80}]},
    }
    apply(site.node, document)
    shown = site.node.ctl("service", "show", "other")
    assert shown["frontends"] == []
    assert "service-proxy-name" in shown["skipped"]


def test_named_target_ports_come_from_slices(site):
    labels = {"kubernetes.io/service-name": "named"}
    apply(site.node, {
        "kind": "List",
        "items": [
            {"kind": "Service", "metadata": {"name": "named"},
             "spec": {"clusterIP": "10.96.0.11",
                      "ports": [{"name": "web", "port": 80, "targetPort": "http"}]}},
            {"kind": "EndpointSlice", "metadata": {"name": "named-1", "labels": labels},
             "addressType": "IPv4", "ports": [{"name": "web", "port": 8080}],
             "endpoints": [{"addresses": [site.a.ip4]}]},
        ],
    })
    assert servers_of(site.client, "10.96.0.11", tries=4) == {"a"}


@pytest.mark.parametrize("vip", ["10.96.0.12", "fd00:96::12"])
def test_without_endpoints_clients_are_refused(site, vip):
    apply(site.node, compact("empty", vips=[vip], ports=["80/tcp", "53/udp"]))
    assert is_refused(site.client, vip)
    flow = Datagrams(site.client.netns, vip, 53)
    try:
        assert flow.ask() is ConnectionRefusedError
    finally:
        flow.close()
