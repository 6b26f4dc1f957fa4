"""Flows while endpoints and daemons come and go: conformance section 3, lines 10 and 12."""

import json
import os
import signal
import time
from types import SimpleNamespace

import pytest
from lab.node import node_config
from lab.run import wait_for
from lab.services import Connection, Datagrams, Server, apply, ask, compact, servers_of

VIP = "10.96.2.10"


@pytest.fixture
def site(make_node, pods):
    here = SimpleNamespace()
    here.node = make_node()
    here.node.up()
    here.a, here.b, here.client = (pods.kernel(here.node, stem) for stem in ("a", "b", "client"))
    here.pods = {"a": here.a, "b": here.b}
    servers = [Server(here.a, "a"), Server(here.b, "b")]
    yield here
    for server in servers:
        server.stop()


def web(*backends):
    return compact(vips=[VIP], ports=["80/tcp->8080", "53/udp->8080"], backends=backends)


def test_an_established_connection_survives_its_endpoints_removal(site):
    apply(site.node, web(site.a, site.b))
    connection = Connection(site.client.netns, VIP)
    try:
        server = connection.ask().server
        apply(site.node, web(*[pod for name, pod in site.pods.items() if name != server]))
        assert connection.ask().server == server
        assert server not in servers_of(site.client, VIP, tries=8)
        apply(site.node, web())
        assert connection.ask().server == server
    finally:
        connection.close()


def test_a_udp_flow_picks_again_when_its_endpoint_goes(site):
    apply(site.node, web(site.a, site.b))
    flow = Datagrams(site.client.netns, VIP, 53)
    try:
        first = flow.ask().server
        rest = [pod for name, pod in site.pods.items() if name != first]
        apply(site.node, web(*rest))
        assert flow.ask().server != first
        apply(site.node, web())
        assert flow.ask() is ConnectionRefusedError
        apply(site.node, web(site.pods[first]))
        assert flow.ask().server == first
    finally:
        flow.close()


def test_control_killed_and_restarted_breaks_nothing(site):
    apply(site.node, web(site.a, site.b))
    connection = Connection(site.client.netns, VIP)
    flow = Datagrams(site.client.netns, VIP, 53)
    try:
        before, datagrams = connection.ask(), flow.ask()
        site.node.kill("control")
        assert connection.ask() == before
        assert flow.ask() == datagrams
        assert servers_of(site.client, VIP) == {"a", "b"}
        site.node.up()
        wait_for(lambda: site.node.ctl("status")["dataplane"]["generation"] != 0, 15, "a replay")
        assert connection.ask() == before
        assert flow.ask() == datagrams
    finally:
        connection.close()
        flow.close()


def test_a_restarted_dataplane_serves_again(site):
    apply(site.node, web(site.a, site.b))
    assert servers_of(site.client, VIP) == {"a", "b"}
    site.node.kill("dataplane", signal.SIGKILL)
    site.node.up()
    wait_for(lambda: site.client.run("curl", "-s", "-m1", f"http://{VIP}/", check=False)
             .returncode == 0, 15, "the service after the restart")
    assert servers_of(site.client, VIP) == {"a", "b"}


def last_answer(flows, name, seconds):
    """How long after now the server of that name answered last; 0 when it did not."""
    start = time.monotonic()
    last = 0
    while (now := time.monotonic() - start) < seconds:
        if name in {flow.ask().server for flow in flows}:
            last = now
    return last


def test_a_removed_endpoint_gets_nothing_soon_after(site):
    """No datagram reaches it 100 ms after the answer to the change."""
    for _ in range(5):
        apply(site.node, web(site.a, site.b))
        flows = [Datagrams(site.client.netns, VIP, 53) for _ in range(32)]
        try:
            assert {flow.ask().server for flow in flows} == {"a", "b"}
            apply(site.node, web(site.b))
            assert last_answer(flows, "a", 0.2) < 0.1
        finally:
            for flow in flows:
                flow.close()


def test_pods_join_and_leave_by_labels(site, pods):
    apply(site.node, web() | {"selector": {"app": "web"}})
    member = pods.kernel(site.node, "member", args="IgnoreUnknown=1;WEIR_LABELS=app:web,tier:front")
    server = Server(member, "member")
    try:
        wait_for(lambda: site.node.ctl("service", "list")[0]["endpoints"] != "0/0", 10, "the pod")
        wait_for(lambda: site.client.run("curl", "-s", "-m1", f"http://{VIP}/", check=False)
                 .returncode == 0, 10, "the service")
        assert ask(site.client, VIP).server == "member"
        member.delete()
        wait_for(lambda: site.node.ctl("service", "list")[0]["endpoints"] == "0/0", 10, "its end")
    finally:
        server.stop()


def test_the_directory_is_reloaded_on_sighup(make_node, pods, tmp_path):
    node = make_node(config=node_config(services={"directory": str(tmp_path)}))
    node.up()
    a, client = pods.kernel(node, "a"), pods.kernel(node, "client")
    server = Server(a, "a")
    try:
        (tmp_path / "web.json").write_text(json.dumps(web(a)))
        os.kill(node.pid("control"), signal.SIGHUP)
        wait_for(lambda: client.run("curl", "-s", "-m1", f"http://{VIP}/", check=False)
                 .returncode == 0, 10, "the service of the file")
        assert ask(client, VIP).server == "a"
    finally:
        server.stop()
