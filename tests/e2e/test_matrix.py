"""Every kind of port exchanges every kind of traffic with every kind of port, its own
included."""

import pytest
from conftest import close_node, open_node
from lab import stack
from lab.crossroads import KINDS, MTUS, crossroads

pytestmark = pytest.mark.release_only


@pytest.fixture(scope="module")
def roads():
    nodes = []

    def opened(**options):
        nodes.append(open_node(**options))
        return nodes[-1]

    try:
        with crossroads(opened) as made:
            yield made
    finally:
        for node in nodes:
            close_node(node)


@pytest.fixture(params=KINDS)
def source(roads, request):
    return roads.ends[request.param][0]


@pytest.fixture(params=KINDS)
def target(roads, request):
    return roads.ends[request.param][1]


def test_ping(source, target):
    assert stack.ping(source, target, 4) == 2


def test_ipv6(source, target):
    assert stack.ping(source, target, 6) == 2
    stack.tcp(source, target, 6)


def test_tcp(source, target):
    stack.tcp(source, target, 4)


def test_udp(source, target):
    stack.udp(source, target, 4)


def test_jumbo(source, target):
    for version, headers in ((4, 28), (6, 48)):
        assert stack.ping(source, target, version, MTUS[1] - headers) == 2


def test_too_big(roads, source, target):
    """The first echo is more than the target's port takes; the sender is told, and heeds it."""
    for version in (4, 6):
        before = roads.node.drops()["mtu_too_big"]
        assert stack.ping(source, target, version, MTUS[1] + 1000, count=3) >= 1
        assert roads.node.drops()["mtu_too_big"] > before
