"""ICMP errors through NAT, in both directions: conformance section 3, line 11."""

import hashlib

import pytest
from lab.node import GATEWAY4, GATEWAY6
from lab.run import stop, wait_for
from lab.services import Datagrams, Outside, apply, compact, curl, url

VIP = {4: "10.96.5.10", 6: "fd00:96::5:10"}
BALANCER = {4: "203.0.113.50", 6: "2001:db8:50::50"}
GATEWAY = {4: GATEWAY4, 6: GATEWAY6}
NARROW = 1400  # of the link to the host outside; pods have 1500


@pytest.mark.parametrize("version", [4, 6])
def test_a_backends_port_unreachable_reaches_the_client(own_node, pods, version):
    backend, client = pods.kernel(own_node, "backend"), pods.kernel(own_node, "client")
    apply(own_node, compact(vips=VIP.values(), ports=["53/udp"], backends=[backend]))
    for source in (client, backend):  # a hairpin's error has its way back translated too
        flow = Datagrams(source.netns, VIP[version], 53)
        try:
            assert flow.ask() is ConnectionRefusedError
        finally:
            flow.close()


@pytest.fixture
def download(own_node, pods, tmp_path):
    """A pod that serves a file, and a host outside behind a narrow link."""
    outside = Outside(own_node)
    own_node.run("ip", "link", "set", "uplink", "mtu", NARROW)
    content = bytes(range(256)) * 4000
    (tmp_path / "file").write_bytes(content)
    server_pod = pods.kernel(own_node, "server")
    server = server_pod.netns.start("/usr/bin/python3", "-m", "http.server", "8080", "--bind", "::",
                                    cwd=tmp_path)
    wait_for(lambda: ":8080 " in server_pod.run("ss", "-Hltn").stdout, 10, "the server")

    def fetch(address):
        done = outside.run("curl", "-sS", "-m8", "-o", tmp_path / "copy", url(address) + "file")
        assert done.returncode == 0
        assert hashlib.sha256((tmp_path / "copy").read_bytes()).digest() == \
            hashlib.sha256(content).digest()

    def serve(policy):
        apply(own_node, compact(vips=VIP.values(), ingress_ips=list(BALANCER.values()),
                                backends=[server_pod], external_policy=policy))
        wait_for(lambda: curl(outside, VIP[4]).returncode == 0, 10, "the service")

    def learnt(peer):
        """The pod's kernel knows the narrow link on its way to `peer`."""
        return f"mtu {NARROW} " in server_pod.run("ip", "route", "get", peer).stdout

    yield serve, fetch, learnt
    stop(server)
    outside.close()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("policy", ["local", "cluster"])
def test_a_narrow_path_is_found_by_the_backend(download, version, policy):
    """The node's kernel answers large packets with an error that quotes the service's address;
    the pod behind it, whose address the client never saw, learns of it."""
    serve, fetch, learnt = download
    serve(policy)
    fetch(BALANCER[version])
    assert learnt({"local": Outside.ADDRESS, "cluster": GATEWAY}[policy][version])
    fetch(VIP[version])  # masqueraded whatever the policy
    assert learnt(GATEWAY[version])
