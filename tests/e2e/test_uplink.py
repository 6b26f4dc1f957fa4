"""Pods of two nodes reach each other through uplinks, without NAT."""

import pytest


@pytest.mark.parametrize("version", [4, 6])
def test_pods_ping_across_nodes(two_nodes, version):
    two_nodes.a.ping(two_nodes.b.addresses[version])
    two_nodes.b.ping(two_nodes.a.addresses[version])
