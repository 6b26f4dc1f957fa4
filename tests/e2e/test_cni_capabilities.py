"""runtimeConfig on a whole node: what weir-cni does with each capability."""

import json
import stat

import pytest
from lab.pod import AddFailed
from lab.run import stop


def test_device_info_of_a_memif_port(node, pods, tmp_path):
    path = tmp_path / "made" / "devinfo.json"
    pod = pods.memif(node, runtimeConfig={"CNIDeviceInfoFile": str(path)})
    assert json.loads(path.read_text()) == {
        "type": "memif",
        "version": "1.1.0",
        "memif": {"role": "slave", "path": pod.socket_path, "mode": "ethernet"},
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert pod.delete().code == 0
    assert not path.exists()


@pytest.mark.parametrize("role, mode", [("server", "client"), ("client", "server")])
def test_device_info_of_a_vhost_user_port(node, pods, tmp_path, role, mode):
    """It names the workload's side of the socket."""
    path = tmp_path / "devinfo.json"
    settings = {"role": role, **({"path": str(tmp_path / "vm.sock")} if role == "client" else {})}
    pod = pods.vhost(node, runtimeConfig={"CNIDeviceInfoFile": str(path)},
                     **{"vhost-user": settings})
    assert json.loads(path.read_text()) == {
        "type": "vhost-user",
        "version": "1.1.0",
        "vhost-user": {"mode": mode, "path": pod.socket_path},
    }
    assert pod.delete().code == 0
    assert not path.exists()


def test_device_info_of_ip_mode(node, pods, tmp_path):
    path = tmp_path / "devinfo.json"
    pods.memif(node, memif={"mode": "ip"}, runtimeConfig={"CNIDeviceInfoFile": str(path)})
    assert json.loads(path.read_text())["memif"]["mode"] == "ip"


def test_a_kernel_port_has_no_device_info(node, pods, tmp_path):
    path = tmp_path / "devinfo.json"
    pods.kernel(node, runtimeConfig={"CNIDeviceInfoFile": str(path)})
    assert not path.exists()


@pytest.mark.parametrize("path", ["relative", "/tmp/../etc/x", "/tmp/"])
def test_a_bad_device_info_path_is_refused(node, pods, path):
    with pytest.raises(AddFailed, match='"code":7'):
        pods.memif(node, runtimeConfig={"CNIDeviceInfoFile": path})


def test_a_device_info_that_cannot_be_written_fails_the_add(node, pods, tmp_path):
    (tmp_path / "file").touch()
    before = len(node.ctl("port", "list"))
    with pytest.raises(AddFailed, match='"code":5'):
        pods.memif(node, runtimeConfig={"CNIDeviceInfoFile": str(tmp_path / "file" / "x")})
    assert len(node.ctl("port", "list")) == before


def test_host_ports_on_loopback_are_refused_not_ignored(node, pods):
    mapping = {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1"}
    with pytest.raises(AddFailed, match='"code":2'):
        pods.kernel(node, runtimeConfig={"portMappings": [mapping]})
    # Go's spelling, and a mapping that asks for nothing.
    pods.kernel(node, runtimeConfig={"portMappings": [
        {"HostPort": 0, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""}]})


@pytest.mark.parametrize("bandwidth", [{"ingressRate": 1000}, {"egressBurst": 1000}])
def test_half_a_limit_is_refused(node, pods, bandwidth):
    with pytest.raises(AddFailed, match='"code":7'):
        pods.kernel(node, runtimeConfig={"bandwidth": bandwidth})


RATE = 20_000_000  # bit/s
BURST = 4_000_000  # bits
LIMITS = {
    "egress": ({"egressRate": RATE, "egressBurst": BURST}, "police_from_pod"),
    "ingress": ({"ingressRate": RATE, "ingressBurst": BURST}, "police_to_pod"),
}


def send_udp(sender, receiver, seconds, rate):
    """Sends at `rate`; returns the bit/s of UDP payload that arrived."""
    server = receiver.iperf_server()
    try:
        report = sender.iperf(receiver.ip4, "-u", "-b", rate, "-l", 1000, seconds=seconds)
    finally:
        stop(server)
    end = report["end"]["sum"]
    arrived = end["packets"] - end["lost_packets"]
    return arrived * 1000 * 8 / end["seconds"]


@pytest.mark.parametrize("direction", LIMITS)
def test_bandwidth_is_policed(node, pods, direction):
    bandwidth, reason = LIMITS[direction]
    limited = pods.kernel(node, "limited", runtimeConfig={"bandwidth": bandwidth})
    other = pods.kernel(node, "other")
    before = node.drops()[reason]
    pair = (limited, other) if direction == "egress" else (other, limited)
    seconds = 4
    rate = send_udp(*pair, seconds, 3 * RATE)
    allowed = (RATE + BURST / seconds) * 1000 / 1042  # of frames, 42 bytes are headers
    assert 0.85 * allowed < rate < 1.1 * allowed
    assert node.drops()[reason] > before
    # The way back has no limit.
    assert send_udp(*reversed(pair), 2, 3 * RATE) > 2.5 * RATE


def test_limits_survive_both_daemons(own_node, pods):
    node = own_node
    bandwidth = LIMITS["egress"][0] | {"ingressRate": 2 * RATE, "ingressBurst": BURST}
    pod = pods.kernel(node, runtimeConfig={"bandwidth": bandwidth})
    limits = {"from_pod_rate": RATE, "from_pod_burst": BURST, "to_pod_rate": 2 * RATE,
              "to_pod_burst": BURST}
    assert node.ports()[pod.ip4]["limits"] == limits
    for daemon in ("control", "dataplane"):
        node.kill(daemon)
        node.up()
        pod.ping("10.244.0.1")
        assert node.ports()[pod.ip4]["limits"] == limits
    assert "20.0 Mbit/s" in node.ctl_raw("port", "show", pod.ip4).stdout
