"""Pods come and go while weir-control is killed again and again: nothing is left behind,
and two pods that stay lose no packet."""

import random
import socket
import struct
import threading
import time

import pytest
from lab.control import ControlProcess
from lab.netns import unique
from lab.node import open_links
from lab.run import wait_for

pytestmark = pytest.mark.release_only

ADDS = 1000
KILLS = 100
WORKERS = 4
PROBE_PORT = 4789
TRY_LATER = 11


class Probe:
    """Numbered datagrams from one pod to another, every one of them counted."""

    def __init__(self, source, sink, seconds_between=0.002):
        self.pause = seconds_between
        self.sent = 0
        self.numbers = set()
        self.stopping = threading.Event()
        with sink.netns.entered():
            self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind((sink.ip4, PROBE_PORT))
        self.receiver.settimeout(2)
        with source.netns.entered():
            self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.connect((sink.ip4, PROBE_PORT))
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.receive)]
        for thread in self.threads:
            thread.start()

    def send(self):
        while not self.stopping.wait(self.pause):
            self.sender.send(struct.pack("!Q", self.sent))
            self.sent += 1

    def receive(self):
        """Ends two seconds after the last datagram."""
        try:
            while True:
                self.numbers.add(struct.unpack("!Q", self.receiver.recv(64))[0])
        except TimeoutError:
            return

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.sender.close()
        self.receiver.close()

    @property
    def lost(self):
        return self.sent - len(self.numbers)


class Churn:
    """Workers that ADD and DEL as a runtime does: each attempt has a new container id, and
    one that failed is deleted too."""

    def __init__(self, node, pods):
        self.node = node
        self.pods = pods
        self.lock = threading.Lock()
        self.added = 0
        self.steps = 0
        self.problems = []

    def step(self, pod, command):
        with self.lock:
            self.steps += 1
        return pod.call(command, pod.netns.path)

    def delete(self, pod):
        answer = self.step(pod, "DEL")
        assert answer.code == 0 and answer.stdout == "", answer

    def one(self, pod):
        pod.container = unique("soak")
        answer = self.step(pod, "ADD")
        if answer.code == 0:
            with self.lock:
                self.added += 1
        else:
            assert answer.json["code"] == TRY_LATER, answer
        self.delete(pod)

    def work(self, pod):
        try:
            while self.added < ADDS and not self.problems:
                self.one(pod)
        except Exception as problem:  # pylint: disable=broad-except
            self.problems.append(problem)

    def run_with(self, killer):
        threads = [threading.Thread(target=self.work, args=(pod,)) for pod in self.pods]
        for thread in threads:
            thread.start()
        killer(lambda: any(thread.is_alive() for thread in threads))
        for thread in threads:
            thread.join()
        assert not self.problems, self.problems[0]


def footprint(node, control):
    """What a pod could have left, in either daemon."""
    status = node.ctl("status")["dataplane"]
    found = {
        "ports": status["ports"],
        "routes": status["routes"],
        "waiting for reclaim": int(status["pending_reclaim"]),
        "attachments": [pod["container_id"] for pod in node.ctl("pod", "list")],
        "leases": sorted(one["address"] for one in node.ctl("ipam", "show")["leases"]
                         if one["state"] == "leased"),
        "sockets": sorted(path.name for path in (node.run_dir / "pods").glob("*")),
        "records": sorted(path.name for path in (node.run_dir / "attachments").glob("*")),
        "spool": sorted(path.name for path in (node.state_dir / "spool").glob("*")),
    }
    for name, pid in (("dataplane", node.pid("dataplane")), ("control", control.process.pid)):
        links = open_links(pid)
        found[f"{name} descriptors"] = len(links)
        found[f"{name} namespaces"] = [link for link in links if link.startswith("net:")]
    found["hugepages"] = huge_kib(node.pid("dataplane"))
    return found


def huge_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return [line for line in rollup if "Hugetlb" in line]


@pytest.fixture
def control(own_node):
    """The node's weir-control, under the test's own hand."""
    own_node.kill("control")
    process = ControlProcess(own_node)
    process.start()
    yield process
    process.kill()


def connected(node):
    return node.ctl("status")["control"]["dataplane"]["connected"]


def test_nothing_leaks_when_control_is_killed(own_node, pods, control):
    node = own_node
    chance = random.Random(ADDS)
    wait_for(lambda: connected(node), 10, "replay")
    a, b = pods.kernel(node, "a"), pods.kernel(node, "b")
    churning = [pods.bare(node, f"soak{i}") for i in range(WORKERS)]
    churn = Churn(node, churning)
    churn.one(churning[0])  # what the daemons open once and keep is open now
    control.restart()
    wait_for(lambda: connected(node), 10, "replay")
    # The least of several looks: a connection that is just ending holds descriptors too.
    before = min((footprint(node, control) for _ in range(10)),
                 key=lambda look: look["control descriptors"] + look["dataplane descriptors"])
    churn.added = churn.steps = kills = 0
    probe = Probe(a, b)

    def killer(busy):
        nonlocal kills
        while kills < KILLS and busy():
            due = (kills + 1) * 2 * ADDS // (KILLS + 1)
            if churn.steps < due:
                time.sleep(0.001)  # not a wait for anything: spreads the kills over the work
                continue
            time.sleep(chance.uniform(0, 0.006))
            control.restart()
            kills += 1

    try:
        churn.run_with(killer)
    finally:
        probe.stop()
    assert kills == KILLS and churn.added >= ADDS
    control.restart()
    try:
        wait_for(lambda: connected(node) and footprint(node, control) == before, 20, "baseline")
    except TimeoutError:
        assert footprint(node, control) == before
    assert not any(pod.netns.links() for pod in churning)
    assert probe.sent > 100 and probe.lost == 0, f"lost {probe.lost} of {probe.sent}"
