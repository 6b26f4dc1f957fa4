"""Who is chosen and who is let in: conformance section 3, lines 3 to 7."""

import pytest
from lab import services
from lab.node import node_config
from lab.run import wait_for
from lab.services import Outside, Server, apply, ask, compact, is_dropped, is_refused, servers_of

VIP, BALANCER = "10.96.1.10", "203.0.113.20"
NODE_PORT = 31080
ELSEWHERE = {"address": "10.244.77.1", "node": "another"}  # ready, on a node that is not there


@pytest.fixture(scope="module")
def site(wide_site):
    return wide_site


def service(backends, **more):
    return compact("policy", vips=[VIP], backends=backends, ingress_ips=[BALANCER],
                   ports=[f"80/tcp->8080@{NODE_PORT}"], **more)


def endpoint(pod, **conditions):
    return {"address": pod.ip4} | conditions


def test_ready_endpoints_alone_are_used(site):
    apply(site.node, service([endpoint(site.a), endpoint(site.b, ready=False)]))
    assert servers_of(site.client, VIP) == {"a"}


def test_terminating_endpoints_serve_when_none_is_ready(site):
    draining = endpoint(site.b, ready=False, serving=True, terminating=True)
    apply(site.node, service([endpoint(site.a), draining]))
    assert servers_of(site.client, VIP) == {"a"}
    apply(site.node, service([endpoint(site.a, ready=False, serving=False), draining]))
    assert servers_of(site.client, VIP) == {"b"}


def test_internal_policy_local_without_a_local_endpoint_drops(site):
    apply(site.node, service([ELSEWHERE], internal_policy="local"))
    assert is_dropped(site.client, VIP)
    assert is_dropped(site.node, VIP)
    apply(site.node, service([ELSEWHERE, endpoint(site.a)], internal_policy="local"))
    assert servers_of(site.client, VIP) == {"a"}


def test_external_policy_local_without_a_local_endpoint_drops_outside_only(site):
    apply(site.node, service([ELSEWHERE], external_policy="local"))
    wait_for(lambda: is_dropped(site.outside, BALANCER), 15, "the service's route")
    assert is_dropped(site.outside, Outside.NODE[4], NODE_PORT)
    apply(site.node, service([], external_policy="local"))
    assert is_refused(site.outside, BALANCER)


def test_external_policy_local_keeps_the_client(site):
    apply(site.node, service([ELSEWHERE, endpoint(site.a)], external_policy="local"))
    wait_for(lambda: services.curl(site.outside, BALANCER).returncode == 0, 15, "the service")
    client = Outside.ADDRESS[4]
    for address, port in ((BALANCER, 80), (Outside.NODE[4], NODE_PORT)):
        answer = ask(site.outside, address, port)
        assert (answer.server, answer.client) == ("a", client)


def test_external_policy_cluster_masquerades(site):
    apply(site.node, service([endpoint(site.a)]))
    wait_for(lambda: services.curl(site.outside, BALANCER).returncode == 0, 15, "the service")
    for address, port in ((BALANCER, 80), (Outside.NODE[4], NODE_PORT), (VIP, 80)):
        assert ask(site.outside, address, port).client == "10.244.0.1"


def test_source_ranges_limit_the_load_balancer_alone(site):
    apply(site.node, service([endpoint(site.a)], source_ranges=["192.0.2.0/24"]))
    wait_for(lambda: services.curl(site.outside, Outside.NODE[4], NODE_PORT).returncode == 0, 15,
             "the NodePort")
    assert is_dropped(site.outside, BALANCER)
    assert ask(site.outside, VIP).server == "a"
    apply(site.node, service([endpoint(site.a)], source_ranges=["198.18.0.0/24"]))
    assert ask(site.outside, BALANCER).server == "a"


def test_client_ip_affinity(site):
    both = [endpoint(site.a), endpoint(site.b)]
    apply(site.node, service(both, affinity_seconds=60))
    kept = servers_of(site.client, VIP)
    assert len(kept) == 1
    # Its server goes: the client moves, and stays there when the first is back.
    other = {"a": site.b, "b": site.a}[kept.pop()]
    apply(site.node, service([endpoint(other)], affinity_seconds=60))
    moved = servers_of(site.client, VIP, tries=2)
    apply(site.node, service(both, affinity_seconds=60))
    assert servers_of(site.client, VIP) == moved


def test_affinity_may_hold_for_a_service_whole(site):
    second = Server(site.a, "a", 8081), Server(site.b, "b", 8081)
    try:
        apply(site.node, compact(
            "whole", vips=["10.96.1.11"], ports=["80->8080", "81->8081"],
            backends=[endpoint(site.a), endpoint(site.b)], affinity_seconds=60,
            affinity_key="service"))
        first = servers_of(site.client, "10.96.1.11", 80, tries=4)
        assert len(first) == 1
        assert servers_of(site.client, "10.96.1.11", 81, tries=4) == first
    finally:
        for server in second:
            server.stop()


def test_weights_share_new_connections(site):
    apply(site.node, service([endpoint(site.a, weight=9), endpoint(site.b, weight=1)]))
    names = [ask(site.client, VIP).server for _ in range(80)]
    assert names.count("a") > names.count("b") > 0


def test_topology_hints_keep_to_the_zone(make_node, pods):
    node = make_node(config=node_config(node={"name": "here", "zone": "z1"}))
    node.up()
    a, b, client = (pods.kernel(node, stem) for stem in ("a", "b", "client"))
    servers = [Server(a, "a"), Server(b, "b")]

    def hinted(pod, zone):
        return {"addresses": [pod.ip4], "hints": {"forZones": [{"name": zone}]}}

    try:
        labels = {"kubernetes.io/service-name": "zoned"}
        apply(node, compact("zoned", vips=["10.96.1.12"]), {
            "kind": "EndpointSlice", "metadata": {"name": "zoned-1", "labels": labels},
            "addressType": "IPv4", "ports": [{"name": "80-tcp", "port": 8080}],
            "endpoints": [hinted(a, "z1"), hinted(b, "z2")]})
        assert servers_of(client, "10.96.1.12") == {"a"}
        explained = node.ctl("service", "explain", "zoned")
        uses = {e["address"]: e["cluster"] for e in explained["ports"][0]["endpoints"]}
        assert uses == {a.ip4: "used: ready", b.ip4: "hinted for another zone"}
    finally:
        for server in servers:
            server.stop()
