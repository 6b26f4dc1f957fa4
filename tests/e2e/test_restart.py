"""Either daemon may be killed at any moment: addresses stay and traffic resumes."""

import re
import shutil
import signal
import subprocess

import pytest
from lab.run import run, stop, wait_for


class Pinger:
    """Pings in the background; counts what went out and what came back."""

    def __init__(self, source, destination, interval=0.02):
        self.process = source.netns.start(
            "ping", "-n", "-i", str(interval), destination, stdin=subprocess.DEVNULL
        )
        self.lines = []

    def wait_for_reply(self):
        """Blocks until one more reply than before is there."""
        for line in iter(self.process.stdout.readline, ""):
            self.lines.append(line)
            if "time=" in line:
                return

    def stop(self):
        self.process.send_signal(2)
        output = "".join(self.lines) + self.process.stdout.read()
        stop(self.process)
        sent, received = re.search(r"(\d+) packets transmitted, (\d+) received", output).groups()
        return int(sent), int(received)


def state(node, pods):
    """What must survive a restart: leases, keys, interfaces."""
    return {
        "ports": {a: (p["key"], p["mac"], p["mtu"]) for a, p in node.ports().items()},
        "links": [(pod.link()["ifindex"], pod.link()["address"]) for pod in pods],
    }


def settled(node):
    """Both daemons run and control has replayed its state."""
    return int(node.ctl("status")["dataplane"]["generation"]) != 0


def test_dataplane_killed_under_traffic(own_node, pods):
    node = own_node
    a, b = pods.kernel(node, "a"), pods.kernel(node, "b")
    a.ping(b.ip4)
    before = state(node, (a, b))
    pinger = Pinger(a, b.ip4)
    pinger.wait_for_reply()
    node.kill("dataplane")
    node.up()
    wait_for(lambda: a.ping(b.ip4, count=1, check=False), 15, "traffic after the restart")
    sent, received = pinger.stop()
    assert 0 < received < sent
    assert state(node, (a, b)) == before
    for version in (4, 6):
        a.ping(b.addresses[version])
        b.ping(a.addresses[version])
    assert a.delete().code == 0
    assert a.netns.links() == []


def test_tcp_connection_survives_a_killed_dataplane(own_node, pods):
    node = own_node
    a, b = pods.kernel(node, "a"), pods.kernel(node, "b")
    server = b.iperf_server()
    client = a.netns.start("iperf3", "-c", b.ip4, "-t", "8", "-i", "1")
    try:
        wait_for(lambda: int(node.ports()[a.ip4]["counters"]["rx_packets"]) > 100, 10, "traffic")
        node.kill("dataplane")
        node.up()
        assert client.wait(40) == 0, client.stdout.read()
    finally:
        stop(client)
        stop(server)


def start_again_without_loss(node, pinger):
    node.up()
    wait_for(lambda: settled(node), 10, "replay")
    pinger.wait_for_reply()
    sent, received = pinger.stop()
    assert received == sent, f"lost {sent - received} of {sent}"


def test_control_killed_under_traffic_loses_no_packet(own_node, pods):
    node = own_node
    a, b = pods.kernel(node, "a"), pods.kernel(node, "b")
    before = state(node, (a, b))
    pinger = Pinger(a, b.ip4, interval=0.005)
    pinger.wait_for_reply()
    node.kill("control")
    pinger.wait_for_reply()
    start_again_without_loss(node, pinger)
    assert state(node, (a, b)) == before
    assert a.delete().code == 0
    c = pods.kernel(node, "c")
    c.ping(b.ip4)


@pytest.mark.parametrize("order", [("control", "dataplane"), ("dataplane", "control")])
def test_both_killed(own_node, pods, order):
    node = own_node
    a, b = pods.kernel(node, "a"), pods.kernel(node, "b")
    before = state(node, (a, b))
    for daemon in order:
        node.kill(daemon)
    node.up()
    wait_for(lambda: a.ping(b.ip6, count=1, check=False), 15, "traffic after the restart")
    a.ping(b.ip4)
    assert state(node, (a, b)) == before


def test_delete_while_control_is_down(own_node, pods):
    """DEL succeeds at once; what it frees is free before the next ADD is served."""
    node = own_node
    a, b = pods.kernel(node, "a"), pods.kernel(node, "b")
    node.kill("control")
    answer = a.delete()
    assert answer.code == 0, answer
    node.up()
    assert [pod["container_id"] for pod in node.ctl("pod", "list")] == [b.container]
    assert a.ip4 not in node.ports()
    c = pods.kernel(node, "c")
    c.ping(b.ip4)


def test_pod_whose_namespace_vanished_while_control_was_down(own_node, pods):
    node = own_node
    a, b = pods.kernel(node, "a"), pods.kernel(node, "b")
    node.kill("control")
    a.netns.delete()
    node.up()
    assert a.delete().code == 0
    wait_for(lambda: a.ip4 not in node.ports(), 5, "end of the port")
    b.ping("10.244.0.1")


def test_add_fails_cleanly_while_the_dataplane_is_down(own_node, pods):
    node = own_node
    pods.kernel(node, "a")
    node.kill("dataplane")
    late = pods.bare(node, "late")
    answer = node.cni("ADD", late.container, late.netns.path, "eth0", late.conf)
    assert answer.code != 0
    assert answer.json["code"] and answer.json["msg"]
    assert late.netns.links() == []
    node.up()
    wait_for(lambda: settled(node), 10, "replay")
    late.add().ping("10.244.0.1")


def overwrite(state_dir):
    for path in state_dir.glob("weir.db-*"):
        path.unlink()  # the log would repair the file
    (state_dir / "weir.db").write_bytes(b"no database" * 1000)


@pytest.mark.parametrize("lose", [overwrite, shutil.rmtree])
def test_pods_outlive_the_store(own_node, pods, lose):
    """No packet is lost, no address given out twice, and DEL frees everything."""
    node = own_node
    a, b = pods.kernel(node, "a"), pods.kernel(node, "b")
    memif = pods.memif(node)
    before = state(node, (a, b))
    pinger = Pinger(a, b.ip4, interval=0.005)
    pinger.wait_for_reply()
    node.kill("control")
    lose(node.state_dir)
    start_again_without_loss(node, pinger)
    assert state(node, (a, b)) == before
    c = pods.kernel(node, "c")
    c.ping(b.ip4)
    assert c.ip4 not in (a.ip4, b.ip4, memif.ip4)
    for pod in (a, b, memif, c):
        assert pod.delete().code == 0
    assert node.ctl("pod", "list") == []
    assert [lease["container_id"] for lease in node.ctl("ipam", "show")["leases"]
            if lease["state"] == "leased"] == ["@host", "@host"]
    assert len(node.ports()) == 1


def test_delete_succeeds_on_a_full_disk(own_node, pods):
    """What the disk cannot take now is taken when it has room again."""
    node = own_node
    node.kill("control")
    shutil.rmtree(node.state_dir)
    node.state_dir.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", node.state_dir)
    try:
        node.up()
        a = pods.kernel(node, "a")
        filler = node.state_dir / "filler"
        with pytest.raises(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        # What the store has in reserve goes first; at the latest then the disk is full.
        late = [pods.bare(node, "late") for _ in range(40)]
        refused = [pod for pod in late if pod.call("ADD", pod.netns.path).code != 0]
        assert refused
        assert not any(pod.netns.links() for pod in refused)
        assert a.delete().code == 0
        assert a.netns.links() == []
        filler.unlink()
        pods.kernel(node, "b").ping("10.244.0.1")
        assert a.ip4 not in node.ports()
        node.kill("control")
    finally:
        run("umount", "--lazy", node.state_dir, check=False)


def test_term_ends_both(own_node):
    for daemon in ("control", "dataplane"):
        own_node.kill(daemon, signal.SIGTERM)
