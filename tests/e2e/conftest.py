"""Fixtures: nodes and pods that are gone after the test, whatever happened in it."""

from types import SimpleNamespace

import pytest
from lab.node import Node
from lab.pod import KernelPod, MemifPod, VhostPod
from lab.reports import open_nodes, pytest_configure, pytest_runtest_makereport  # noqa: F401
from lab.services import Outside, Server
from lab.site import Site


def open_node(**options):
    node = Node(**options)
    open_nodes.append(node)
    return node


def close_node(node):
    try:
        node.close()
    finally:
        open_nodes.remove(node)


@pytest.fixture(scope="session")
def node():
    """The node that tests share; they measure counters as differences."""
    shared = open_node()
    try:
        shared.up()
        yield shared
    finally:
        close_node(shared)


@pytest.fixture
def make_node():
    """Nodes of one test's own, not started yet: make_node(config=…)."""
    made = []

    def make(**options):
        made.append(open_node(**options))
        return made[-1]

    yield make
    for one in reversed(made):
        close_node(one)


@pytest.fixture
def own_node(make_node):
    """A started node of the test's own, to kill and to restart."""
    one = make_node()
    one.up()
    return one


class Pods:
    """Makes pods and closes them in reverse."""

    def __init__(self):
        self.made = []

    def kernel(self, node, stem="pod", **conf):
        return self._make(KernelPod, node, stem, **conf).add()

    def memif(self, node, stem="memif", **conf):
        return self._make(MemifPod, node, stem, **conf).add()

    def vhost(self, node, stem="vhost", **conf):
        return self._make(VhostPod, node, stem, **conf).add()

    def bare(self, node, stem="pod", **conf):
        """A kernel pod before its ADD."""
        return self._make(KernelPod, node, stem, **conf)

    def _make(self, kind, *arguments, **conf):
        self.made.append(kind(*arguments, **conf))
        return self.made[-1]

    def close(self):
        while self.made:
            self.made.pop().close()


@pytest.fixture
def pods(request):
    # Pods go before the node of the same test goes.
    if "make_node" in request.fixturenames:
        request.getfixturevalue("make_node")
    made = Pods()
    yield made
    made.close()


@pytest.fixture(scope="module")
def module_pods(node):
    """Pods on the shared node that a module's tests share."""
    made = Pods()
    yield made
    made.close()


@pytest.fixture(scope="module")
def wide_site(request):
    """A node with two servers, a client pod and a host outside; a module's own, with the
    module's NODE_CONFIG where it has one."""
    config = getattr(request.module, "NODE_CONFIG", None)
    here = SimpleNamespace(node=open_node(config=config), made=Pods(), servers=[])
    try:
        here.outside = Outside(here.node)
        here.node.up()
        here.a, here.b, here.client = (
            here.made.kernel(here.node, stem) for stem in ("a", "b", "client"))
        here.servers = [Server(here.a, "a"), Server(here.b, "b")]
        yield here
    finally:
        for server in here.servers:
            server.stop()
        here.made.close()
        if hasattr(here, "outside"):
            here.outside.close()
        close_node(here.node)


@pytest.fixture(scope="module")
def two_nodes():
    """Two nodes joined by uplinks and a pod on each, a module's own."""
    nodes, made = [], Pods()

    def opened(**options):
        nodes.append(open_node(**options))
        return nodes[-1]

    try:
        site = Site(opened)
        site.a, site.b = (made.kernel(node) for node in nodes)
        yield site
    finally:
        made.close()
        for node in reversed(nodes):
            close_node(node)


@pytest.fixture
def pair(node, pods):
    """Two kernel pods on the shared node."""
    return pods.kernel(node, "a"), pods.kernel(node, "b")
