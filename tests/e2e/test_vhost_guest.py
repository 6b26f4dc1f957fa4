"""A virtual machine in a vhost-user pod: its kernel's virtio-net is the driver, QEMU the
front-end in either role."""

import pytest
from lab.guest import Guest
from lab.node import node_config
from lab.packets import TCP, PacketSocket, checksum_fault
from lab.run import wait_for
from lab.stack import NetnsStack, iperf, ping, tcp, udp
from lab.testpmd import Testpmd
from test_vhost import link_up

# Sanitized, tests/vhost and tests/hostile go the same ways without an emulated processor.
pytestmark = pytest.mark.release_only

QUEUES = 2
FRAME = 1514
VERSIONS = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture(scope="module")
def guest(node, module_pods):
    """Of all tests that neither restart anything nor need another MTU."""
    pod = module_pods.vhost(node, **{"vhost-user": {"queues": QUEUES}})
    with Guest(pod, queues=QUEUES) as one:
        link_up(node, pod)
        yield one


@pytest.fixture(scope="module")
def kernel(node, module_pods):
    pod = module_pods.kernel(node)
    with NetnsStack(pod.netns, pod.addresses) as stack:
        yield stack


def test_what_the_driver_negotiated(node, guest):
    state = node.ctl("port", "show", guest.pod.ip4)["vhost_user"]
    assert state["offload"] and state["mergeable"] and not state["packed"]
    assert len(state["rings"]) == 2 * QUEUES


@VERSIONS
def test_ping(guest, kernel, version):
    for size in (56, 1452):
        assert ping(kernel, guest, version, size) == ping(guest, kernel, version, size) == 2


@VERSIONS
def test_udp(guest, kernel, version):
    udp(kernel, guest, version)
    udp(guest, kernel, version)


def mean_length(source, target, version):
    """Bytes of a frame in the mean that reached the target while TCP flowed to it."""
    before = target.received()
    tcp(source, target, version, 4 << 20)
    packets, length = (after - one for after, one in zip(target.received(), before, strict=True))
    return length / packets


@VERSIONS
def test_tcp_segments_arrive_unsplit(guest, kernel, version):
    """The receiving kernel sees super-frames, far longer than the MTU: nobody cut them."""
    assert mean_length(kernel, guest, version) > 2 * FRAME
    assert mean_length(guest, kernel, version) > 2 * FRAME


@VERSIONS
def test_tcp_segments_for_a_port_without_offload(node, guest, memif_stack, version):
    """weir cuts the guest's super-frames for a memif, and sums each piece."""
    with PacketSocket(memif_stack) as capture:
        tcp(guest, memif_stack, version, 1 << 20)
        segments = [frame for frame in capture.drain() if TCP in frame]
    assert len(segments) > (1 << 20) / FRAME
    assert max(len(frame.raw) for frame in segments) == FRAME
    assert [fault for frame in segments if (fault := checksum_fault(frame))] == []


@pytest.fixture(scope="module")
def memif_stack(node, module_pods):
    """A kernel behind a memif, by testpmd and a tap."""
    pod = module_pods.memif(node)
    with Testpmd(pod, "io", vdevs=["net_tap0,iface=memtap"]):
        link_up(node, pod)
        pod.configure("memtap")
        pod.run("ethtool", "-K", "memtap", "gro", "off")
        with NetnsStack(pod.netns, pod.addresses, "memtap") as stack:
            yield stack


def test_flows_take_all_queues(node, guest, kernel):
    iperf(kernel, guest, 4, "-n 1M -P 8")
    rings = node.ctl("port", "show", guest.pod.ip4)["vhost_user"]["rings"]
    assert all(ring["packets"] > 0 for ring in rings)


@pytest.mark.parametrize("serves", [False, True], ids=["weir-serves", "qemu-serves"])
def test_dataplane_restarts(own_node, pods, tmp_path, serves):
    """The guest's driver notices nothing but lost packets, whoever makes the socket."""
    path = str(tmp_path / "vm.sock")
    options = {"vhost-user": {"role": "client", "path": path}} if serves else {}
    vhost = pods.vhost(own_node, **options)
    kernel = pods.kernel(own_node)
    with (Guest(vhost, serves=serves, path=serves and path) as guest,
          NetnsStack(kernel.netns, kernel.addresses) as stack):
        for number in range(2):
            link_up(own_node, vhost)
            assert ping(guest, stack, 4) == 2
            tcp(stack, guest, 6)
            if number == 0:
                own_node.kill("dataplane")
                own_node.up()
                wait_for(lambda: vhost.ip4 in own_node.ports(), 15, "the port after the restart")


@pytest.mark.parametrize("device", ["", "packed=on", "mrg_rxbuf=off"])
def test_jumbo_frames(make_node, pods, device):
    node = make_node(config=node_config(network={"mtu": 9000}))
    node.up()
    vhost, kernel = pods.vhost(node), pods.kernel(node)
    with (Guest(vhost, mtu=9000, device=device) as guest,
          NetnsStack(kernel.netns, kernel.addresses) as stack):
        link_up(node, vhost)
        for version, size in ((4, 8972), (6, 8952)):
            assert ping(guest, stack, version, size) == 2
            assert ping(stack, guest, version, size) == 2
            tcp(stack, guest, version)
