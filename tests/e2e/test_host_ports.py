"""A pod's host ports (portMappings): kubenet parity, and kube-proxy's line 8 for them."""

import pytest
from lab.run import wait_for
from lab.services import Datagrams, Outside, Server, ask, curl, is_refused

HOST_PORT, BOUND_PORT = 18080, 18081


@pytest.fixture
def site(own_node, pods):
    class Site:
        pass

    here = Site()
    here.node, here.outside = own_node, Outside(own_node)
    mappings = [
        {"hostPort": HOST_PORT, "containerPort": 8080, "protocol": "tcp"},
        {"HostPort": HOST_PORT, "ContainerPort": 8080, "Protocol": "udp", "HostIP": ""},
        {"hostPort": BOUND_PORT, "containerPort": 8080, "protocol": "tcp",
         "hostIP": Outside.NODE[4]},
    ]
    # The node learns of its new addresses within a housekeeping interval; a restart is quicker.
    own_node.kill("control")
    own_node.up()
    here.a = pods.kernel(own_node, "a", runtimeConfig={"portMappings": mappings})
    here.client = pods.kernel(own_node, "client")
    server = Server(here.a, "a")
    yield here
    server.stop()
    here.outside.close()


@pytest.mark.parametrize("version", [4, 6])
def test_a_host_port_is_reached_from_everywhere(site, version):
    address = Outside.NODE[version]
    for client in (site.client, site.node, site.outside, site.a):
        wait_for(lambda one=client: curl(one, address, HOST_PORT).returncode == 0, 5, "the host port")
        assert ask(client, address, HOST_PORT).server == "a"


def test_clients_keep_their_address(site):
    wait_for(lambda: curl(site.outside, Outside.NODE[4], HOST_PORT).returncode == 0, 5, "the port")
    assert ask(site.outside, Outside.NODE[4], HOST_PORT).client == Outside.ADDRESS[4]


def test_datagrams_too(site):
    flow = Datagrams(site.client.netns, Outside.NODE[4], HOST_PORT)
    try:
        assert flow.ask().server == "a"
    finally:
        flow.close()


def test_a_mapping_may_name_an_address(site):
    wait_for(lambda: curl(site.outside, Outside.NODE[4], BOUND_PORT).returncode == 0, 5, "the port")
    assert is_refused(site.client, "10.244.0.2", BOUND_PORT)


def test_host_ports_go_with_their_pod(site):
    assert ask(site.client, Outside.NODE[4], HOST_PORT).server == "a"
    site.a.delete()
    assert is_refused(site.client, Outside.NODE[4], HOST_PORT)
    wait_for(lambda: is_refused(site.outside, Outside.NODE[4], HOST_PORT), 5, "its end")
    wait_for(lambda: "weir" not in site.node.run("nft", "list", "tables").stdout, 5,
             "the end of nftables' table")
