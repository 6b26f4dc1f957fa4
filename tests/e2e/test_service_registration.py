"""Endpoints that register themselves, and health checks: conformance section 3, line 9."""

import json
from types import SimpleNamespace

import pytest
from lab.node import node_config
from lab.run import wait_for
from lab.services import Outside, Server, apply, ask, compact, curl, is_refused

VIP = "10.96.3.10"
PORT = 9471
HEALTH = 32100
PATH = "/v1/services/default/web/endpoints"


@pytest.fixture
def site(make_node, pods):
    here = SimpleNamespace()
    here.node = make_node(config=node_config(services={"registration": f"10.244.0.2:{PORT}"}))
    here.node.up()
    here.a, here.client = pods.kernel(here.node, "a"), pods.kernel(here.node, "client")
    server = Server(here.a, "a")
    apply(here.node, compact(vips=[VIP]))
    yield here
    server.stop()


def register(pod, method="PUT", name="one", address=None, ttl=60):
    """Status and body of the answer."""
    body = {"address": address or pod.ip4, "ports": {"80-tcp": 8080}, "ttl_seconds": ttl}
    done = pod.run("curl", "-sS", "-m3", "-X", method, "-d", json.dumps(body), "-w", "\n%{http_code}",
                   f"http://10.244.0.2:{PORT}{PATH}/{name}")
    text, status = done.stdout.rsplit("\n", 1)
    return int(status), json.loads(text)


def test_the_registration_is_where_the_host_port_is(site):
    address = site.node.netns.json("ip", "-j", "address", "show", "dev", "weir0")[0]
    assert "10.244.0.2" in [a["local"] for a in address["addr_info"]]


def test_a_pod_registers_and_leaves(site):
    assert is_refused(site.client, VIP)
    assert register(site.a)[0] == 200
    wait_for(lambda: curl(site.client, VIP).returncode == 0, 5, "the registered endpoint")
    assert ask(site.client, VIP).server == "a"
    assert register(site.a, "DELETE")[0] == 200
    wait_for(lambda: is_refused(site.client, VIP), 5, "its end")


def test_a_pod_may_register_itself_only(site):
    status, answer = register(site.client, address=site.a.ip4)
    assert status == 403
    assert "may not register" in answer["error"]
    assert is_refused(site.client, VIP)


def test_a_missed_keepalive_removes_the_endpoint(site):
    register(site.a, ttl=1)
    wait_for(lambda: curl(site.client, VIP).returncode == 0, 5, "the registered endpoint")
    wait_for(lambda: is_refused(site.client, VIP), 5, "its end without a keepalive")


def test_a_restart_of_control_forgets_no_registration(site):
    register(site.a)
    wait_for(lambda: curl(site.client, VIP).returncode == 0, 5, "the registered endpoint")
    site.node.kill("control")
    assert ask(site.client, VIP).server == "a"
    site.node.up()
    assert ask(site.client, VIP).server == "a"
    listed = json.loads(site.a.run("curl", "-sS", f"http://10.244.0.2:{PORT}{PATH}").stdout)
    assert [one["id"] for one in listed["endpoints"]] == ["one"]


def test_the_health_check_port_says_whether_endpoints_are_local(site):
    outside = Outside(site.node)
    try:
        def health():
            done = outside.run("curl", "-sS", "-m3", "-w", "\n%{http_code}",
                               f"http://{Outside.NODE[4]}:{HEALTH}/healthz", check=False)
            if done.returncode != 0:
                return None
            text, status = done.stdout.rsplit("\n", 1)
            return int(status), json.loads(text)

        def service(backend):
            return compact("lb", vips=["10.96.3.11"], backends=[backend], external_policy="local",
                           health_check_port=HEALTH)

        name = {"namespace": "default", "name": "lb"}
        apply(site.node, service({"address": "10.244.77.1", "node": "another"}))
        assert wait_for(health, 5, "the health check") == (
            503, {"service": name, "localEndpoints": 0})
        apply(site.node, service(site.a.ip4))
        assert health() == (200, {"service": name, "localEndpoints": 1})
        site.node.ctl("service", "delete", "lb")
        assert health() is None
    finally:
        outside.close()
