"""Two nodes tell each other of their pods by BGP; weir takes the routes from the kernel."""

import shutil

import pytest
from lab.bgp import BgpSite, interface, kernels
from lab.run import wait_for
from lab.services import Connection, Server, ask

pytestmark = pytest.mark.skipif(not shutil.which("bird"), reason="needs Debian's bird2")
PORT = 8080


@pytest.fixture
def site(make_node, pods):
    made = BgpSite(make_node)
    try:
        made.a, made.b = (pods.kernel(node) for node in made.nodes)
        made.start_birds()
        made.wait_for_wires(0, 1)
        yield made
    finally:
        made.close()


@pytest.fixture
def server(site):
    made = Server(site.b, "b", PORT)
    yield made
    made.stop()


@pytest.mark.parametrize("version", [4, 6])
def test_pods_meet_with_their_own_addresses(site, server, version):
    answer = ask(site.a, site.b.addresses[version], PORT)
    assert answer.client == site.a.addresses[version]


def test_a_link_that_flaps(site, server):
    """Its routes go and come back; a connection lives through both."""
    kept = Connection(site.a.netns, site.b.ip4, PORT)
    try:
        for wire in (0, 1):
            site.set_link(wire, "down")
            site.wait_for_wires(1 - wire)
            assert kept.ask().client == site.a.ip4
            site.set_link(wire, "up")
            site.wait_for_wires(0, 1)
            assert kept.ask().client == site.a.ip4
    finally:
        kept.close()


def test_withdrawn_and_announced_again(site):
    """The peer stays, its routes go."""
    site.birds[1].ask("disable", '"wire*"')
    wait_for(lambda: not site.routes(0), 20, "the end of node 0's routes")
    site.birds[1].ask("enable", '"wire*"')
    site.wait_for_wires(0, 1)
    site.a.ping(site.b.ip6)


def test_kernel_and_weir_share_a_wire(site):
    """Each answers for its own address, once."""
    for address in kernels(0, 1):
        done = site.nodes[0].run("ping", "-n", "-c", "3", "-i", "0.05", "-I", interface(0), address)
        assert "DUP" not in done.stdout and " 0% packet loss" in done.stdout


def test_routes_survive_control(site, server):
    """weir-control starts anew: nothing is swept that the kernel still has."""
    kept = Connection(site.a.netns, site.b.ip4, PORT)
    try:
        site.nodes[0].kill("control")
        assert kept.ask().client == site.a.ip4
        site.nodes[0].up()
        wait_for(lambda: site.nodes[0].ctl("status")["control"]["dataplane"]["connected"], 10, "the replay")
        site.wait_for_wires(0, 1, seconds=0)
        assert kept.ask().client == site.a.ip4
    finally:
        kept.close()


def test_storm_of_routes(site):
    """10000 at once are taken over, a pod is added meanwhile, and they go again."""
    node = site.nodes[0]
    count = lambda: node.ctl("status")["control"]["kernel_routes"]["routes"]
    before = count()
    lines = [f"10.{128 + i // 256}.{i % 256}.0/24 via 192.0.2.2 proto bird" for i in range(10000)]
    batch = lambda verb: node.run("ip", "-batch", "-", input="".join(f"route {verb} {x}\n" for x in lines))
    batch("add")
    assert node.cni("STATUS", conf=node.cni_conf(version="1.1.0")).code == 0
    wait_for(lambda: count() == before + 10000, 20, "all routes")
    applied = lambda: node.ctl("status")["dataplane"]["routes"]
    wait_for(lambda: applied() > 10000, 20, "the dataplane's routes")
    batch("del")
    wait_for(lambda: count() == before and applied() < 1000, 20, "the end of all routes")
