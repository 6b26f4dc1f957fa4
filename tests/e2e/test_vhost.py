"""A vhost-user pod, with DPDK's virtio-user in testpmd as its front-end and driver."""

import socket
import stat
from pathlib import Path

import pytest
from lab.node import node_config
from lab.run import wait_for
from lab.testpmd import Testpmd
from test_memif import tcp_into_tap
from test_memif_dpdk import echo


def link_up(node, pod):
    wait_for(lambda: node.ports()[pod.ip4]["link"] == "up", 10, "vhost-user link")


@pytest.fixture
def vhost(node, pods):
    return pods.vhost(node)


def test_result_names_the_socket(node, vhost):
    assert vhost.socket_path.startswith(str(node.run_dir / "pods") + "/")
    interface = next(i for i in vhost.result["interfaces"] if i.get("socketPath"))
    assert interface["mtu"] == 1500 and interface["mac"] == vhost.mac
    assert stat.S_ISSOCK(Path(vhost.socket_path).stat().st_mode)


@pytest.mark.parametrize("packed", [0, 1])
def test_answers_echo(node, pods, vhost, packed):
    kernel = pods.kernel(node)
    with Testpmd(vhost, "icmpecho", device=f"packed_vq={packed}"):
        link_up(node, vhost)
        kernel.ping(vhost.ip4, count=200, options=("-i", "0.002"))
        kernel.ping(vhost.ip4, count=5, options=("-s", "1400"))
        state = node.ctl("port", "show", vhost.ip4)["vhost_user"]
        assert state["packed"] == bool(packed) and state["mergeable"]
        assert state["peer"]["pid"] > 0 and state["regions"] > 0
        assert all(ring["packets"] >= 205 for ring in state["rings"])


@pytest.mark.parametrize("packed", [0, 1])
def test_driver_comes_and_goes(node, pods, vhost, packed):
    """In order and killed: the next one is served at once."""
    kernel = pods.kernel(node)
    for killed in (False, True, False):
        with Testpmd(vhost, "icmpecho", device=f"packed_vq={packed}") as driver:
            link_up(node, vhost)
            kernel.ping(vhost.ip4)
            if killed:
                driver.process.kill()
        wait_for(lambda: node.ports()[vhost.ip4]["link"] == "down", 10, "end of the link")


def test_no_driver_is_a_named_drop(node, pods, vhost):
    kernel = pods.kernel(node)
    before = node.drops()["tx_port_down"]
    kernel.ping(vhost.ip4, count=1, check=False)
    assert node.drops()["tx_port_down"] > before


def test_front_end_as_server(node, pods, tmp_path):
    """The pod makes the socket; weir connects, also after the front-end came anew."""
    kernel = pods.kernel(node)
    vhost = pods.vhost(node, **{"vhost-user": {"role": "client", "path": str(tmp_path / "vm.sock")}})
    for _ in range(2):
        with Testpmd(vhost, "icmpecho", role="server"):
            link_up(node, vhost)
            kernel.ping(vhost.ip4)
        wait_for(lambda: node.ports()[vhost.ip4]["link"] == "down", 10, "end of the link")


def test_dataplane_restarts(own_node, pods):
    """The port comes back with its socket; the driver connects to it again."""
    kernel, vhost = pods.kernel(own_node), pods.vhost(own_node)
    own_node.kill("dataplane")
    own_node.up()
    wait_for(lambda: vhost.ip4 in own_node.ports(), 15, "the port after the restart")
    with Testpmd(vhost, "icmpecho"):
        link_up(own_node, vhost)
        kernel.ping(vhost.ip4)
    assert vhost.delete().code == 0
    assert not Path(vhost.socket_path).exists()


def test_udp_comes_back(node, pods, vhost):
    """testpmd swaps addresses and ports of what it gets."""
    kernel = pods.kernel(node)
    with Testpmd(vhost, "5tswap"):
        link_up(node, vhost)
        with kernel.netns.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(5)
            for size in (0, 1, 100, 1400):
                udp.sendto(b"x" * size, (vhost.ip4, 7000))
                assert udp.recvfrom(2048) == (b"x" * size, (vhost.ip4, 7000))


def test_tcp_through_a_kernel_stack(node, pods, vhost):
    """testpmd joins the port to a tap in the pod; it takes no offload, so weir cuts segments."""
    kernel = pods.kernel(node)
    with Testpmd(vhost, "io", vdevs=["net_tap0,iface=vhosttap"]):
        link_up(node, vhost)
        assert not node.ctl("port", "show", vhost.ip4)["vhost_user"]["offload"]
        vhost.configure("vhosttap")
        for version in (4, 6):
            kernel.ping(vhost.addresses[version])
            report = tcp_into_tap(kernel, vhost, version)
            assert report["end"]["sum_received"]["bytes"] > 100_000


@pytest.mark.release_only  # as memif's: DPDK's buffers make the difference, not the build
@pytest.mark.parametrize("mbuf", [2176, 9728])
def test_jumbo_frames(make_node, pods, mbuf):
    """One large buffer, or several small ones for a frame."""
    node = make_node(config=node_config(network={"mtu": 9000}))
    node.up()
    kernel, vhost = pods.kernel(node), pods.vhost(node)
    with Testpmd(vhost, "icmpecho", eal=("--no-huge", "-m", "256"),
                 options=(f"--mbuf-size={mbuf}", "--max-pkt-len=9018", "--enable-scatter")):
        link_up(node, vhost)
        for size in (56, 1472, 8972):
            assert echo(kernel, vhost.ip4, size, "-M", "do")
