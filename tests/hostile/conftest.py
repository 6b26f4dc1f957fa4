"""A node with two pods that mind their own business, and a memif pod that does not.

What every case has to leave behind is checked here, by the `attack` fixture: the process
lives, its descriptors, mappings and retired objects are as many as before, and the stream
between the other pods lost nothing and did not stop.
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from lab.node import Node  # noqa: E402
from lab.pod import KernelPod, MemifPod  # noqa: E402
from lab.reports import (  # noqa: E402, F401
    open_nodes,
    pytest_configure,
    pytest_runtest_makereport,
)
from lab.run import wait_for  # noqa: E402
from memif_client import MemifClient  # noqa: E402
from probe import Probe  # noqa: E402


@pytest.fixture(scope="session")
def node():
    one = Node()
    open_nodes.append(one)
    try:
        one.up()
        yield one
    finally:
        open_nodes.remove(one)
        one.close()


@pytest.fixture(scope="session")
def neighbours(node):
    """Two kernel pods and the stream between them."""
    made = []
    try:
        for stem in ("probe", "echo"):
            made.append(KernelPod(node, stem))
            made[-1].add()
        stream = Probe(*made)
        try:
            yield stream
        finally:
            stream.close()
    finally:
        for pod in reversed(made):
            pod.close()


@pytest.fixture
def victim(node):
    """The memif pod whose client is hostile; every test has its own."""
    pod = MemifPod(node)
    try:
        yield pod.add()
    finally:
        pod.close()


def footprint(pid):
    """Descriptors of the process, and clients' memory that it has mapped."""
    fds = len(os.listdir(f"/proc/{pid}/fd"))
    mapped = Path(f"/proc/{pid}/maps").read_text().count("memfd:")
    return fds, mapped


class Attack:
    """One case against one port; `kind` of clients."""

    def __init__(self, node, pod, kind=MemifClient):
        self.node = node
        self.pod = pod
        self.kind = kind
        self.clients = []

    def client(self, **options):
        self.clients.append(self.kind(self.pod.socket_path, **options))
        return self.clients[-1]

    def port(self):
        """The port as `weirctl port show` describes it."""
        return self.node.ctl("port", "show", self.pod.ip4)

    def count(self, counter):
        return int(self.port()["counters"][counter])

    def expect(self, link, reason):
        """The port ends up in this state, and says why."""
        def found():
            port = self.port()
            return port["link"] == link and port["detail"] == reason[:63]

        try:
            wait_for(found, 10, "")
        except TimeoutError:
            port = self.port()
            pytest.fail(f"port is {port['link']!r}: {port['detail']!r}; expected {link!r}: {reason!r}")

    def close(self):
        for client in self.clients:
            client.close()


@pytest.fixture
def attack(node, neighbours, victim):
    yield from attacked(node, neighbours, Attack(node, victim))


def attacked(node, neighbours, one):
    """The case runs inside; afterwards everything has to be as before."""
    pid = node.pid("dataplane")
    before = footprint(pid)
    sent_before, lost_before = neighbours.counts()
    try:
        yield one
    finally:
        one.close()
    assert node.pid("dataplane") == pid and os.path.exists(f"/proc/{pid}")
    wait_for(lambda: all(now <= then for now, then in zip(footprint(pid), before)), 10,
             f"end of descriptors and mappings: {footprint(pid)}, {before} before")
    wait_for(lambda: int(node.ctl("status")["dataplane"]["pending_reclaim"]) == 0, 10,
             "end of retired objects")
    wait_for(lambda: neighbours.counts()[0] > sent_before, 30, "packets between the other pods")
    assert neighbours.counts()[1] == lost_before, "the other pods lost packets"
