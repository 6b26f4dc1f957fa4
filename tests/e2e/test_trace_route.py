"""weirctl trace route: what it says of a packet is what then becomes of one."""

import json

import pytest
from lab.node import GATEWAY4
from lab.services import Datagrams, Outside, apply, ask, compact

VIP4, VIP6 = "10.96.3.10", "fd00:96:3::10"


@pytest.fixture(scope="module")
def site(wide_site):
    apply(
        wide_site.node,
        compact("traced", vips=(VIP4, VIP6), backends=(wide_site.a, wide_site.b),
                external_ips=["203.0.113.30"], ports=["80/tcp->8080", "53/udp->8080"]),
        compact("nobody", vips=["10.96.3.11"], ports=["80/tcp"]),
        compact("sticky", vips=["10.96.3.12"], backends=(wide_site.a, wide_site.b),
                ports=["80/tcp->8080"], affinity_seconds=100),
    )
    return wide_site


def trace(site, to, *options, source=None):
    return site.node.ctl(
        "trace", "route", "--from", source or site.client.ip4, "--to", to, *options)


def test_the_backend_is_the_one_that_a_datagram_reaches(site):
    names = {site.a.ip4: "a", site.b.ip4: "b"}
    for _ in range(8):
        flow = Datagrams(site.client.netns, VIP4, 53)
        try:
            flow.socket.settimeout(3)
            port = flow.socket.getsockname()[1]
            before = trace(site, f"{VIP4}:53/udp", "--source-port", port)
            assert before["service"]["chosen_by"] == "hash"
            assert flow.ask().server == names[before["service"]["backend"]["address"]]
            after = trace(site, f"{VIP4}:53/udp", "--source-port", port)
            assert after["service"]["chosen_by"] == "connection"
            assert after["service"]["backend"] == before["service"]["backend"]
        finally:
            flow.close()


def test_it_opens_no_connection(site):
    created = site.node.ctl("conn", "stats")["created"]
    assert trace(site, f"{VIP4}:80")["verdict"] == "delivered"
    assert site.node.ctl("conn", "stats")["created"] == created


def test_ip6_route_and_mtu(site):
    path = trace(site, f"[{VIP6}]:80", source=site.client.ip6)
    assert path["verdict"] == "delivered"
    backend = path["service"]["backend"]["address"]
    assert path["route"]["prefix"] == f"{backend}/128"
    assert path["mtu"] == 1500
    assert path["larger"] == {"fragmented": False, "icmp": {"type": 2, "code": 0}}
    assert path["next_hop"] == (site.a.mac if backend == site.a.ip6 else site.b.mac)


def test_affinity_is_named(site):
    server = ask(site.client, "10.96.3.12").server
    path = trace(site, "10.96.3.12:80")
    assert path["service"]["chosen_by"] == "affinity"
    assert path["service"]["backend"]["address"] == getattr(site, server).ip4


def test_clients_outside_are_masqueraded(site):
    host = next(port["key"] for port in site.node.ctl("port", "list") if port["kind"] == "host")
    path = trace(site, "203.0.113.30:80", "--source", Outside.ADDRESS[4], source=str(host))
    assert path["verdict"] == "delivered"
    assert path["service"]["client_inside"] is False
    assert path["masquerade"] == {"address": GATEWAY4, "port": None, "ports": [1024, 65535]}


def test_refusals_and_echo(site):
    refused = trace(site, "10.96.3.11:80")
    assert refused["verdict"] == "rejected"
    assert refused["icmp"] == {"type": 3, "code": 3}
    assert refused["drop"]["name"] == "service_no_backend"
    assert trace(site, f"{VIP4}:81")["drop"]["name"] == "service_no_frontend"
    assert trace(site, VIP4)["verdict"] == "answered"
    assert trace(site, site.a.ip4)["out_port"] is not None


def test_text_and_mistakes(site):
    text = site.node.ctl_raw("trace", "route", "--from", site.client.ip4, "--to", f"{VIP4}:80")
    assert "default/traced:80-tcp" in text.stdout
    wrong = site.node.run(
        site.node.program["ctl"], "-j", "trace", "route", "--from", site.client.ip4, "--source",
        "fd00::1", "--to", VIP4, check=False)
    assert json.loads(wrong.stderr)["error"]["code"] == "invalid_argument"
