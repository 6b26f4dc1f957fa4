"""110 pods on one node: far past DPDK's 32 ethdev ports, and nothing stays behind."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab.node import DAEMONS
from lab.run import wait_for

pytestmark = pytest.mark.release_only

PODS = 110
PARALLEL = 10
SAMPLE = 60


def footprint(node):
    """What a pod may hold: descriptors, ports, leases, attachments, routes."""
    status = node.ctl("status")["dataplane"]
    return {
        **{f"{name} fds": node.descriptors(name) for name in DAEMONS},
        "clients of control": len(node.clients("control")),
        "ports": status["ports"],
        "routes": status["routes"],
        "waiting for reclaim": int(status["pending_reclaim"]),
        "pods": len(node.ctl("pod", "list")),
    }


def at_rest(node):
    """The least in twenty looks: a connection that is just ending holds descriptors too."""
    looks = [footprint(node) for _ in range(20)]
    return {name: min(look[name] for look in looks) for name in looks[0]}


def in_parallel(call, items):
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(call, items))


def test_many_pods(own_node, pods):
    node = own_node
    # One pod has come and gone: what the daemons open once and keep is open now.
    pods.kernel(node, "first")
    pods.close()
    baseline = at_rest(node)

    many = in_parallel(lambda pod: pod.add(), [pods.bare(node, "many") for _ in range(PODS)])
    assert footprint(node)["ports"] == baseline["ports"] + PODS
    for version in (4, 6):
        assert len({pod.addresses[version] for pod in many}) == PODS

    chance = random.Random(2)
    pairs = [chance.sample(many, 2) for _ in range(SAMPLE)]
    # Every pod is reached at least once, from its neighbour in a ring.
    pairs += zip(many, many[1:] + many[:1])
    in_parallel(lambda two: two[0].ping(two[1].ip4, count=1), pairs)
    in_parallel(lambda two: two[0].ping(two[1].ip6, count=1), pairs)

    for answer in in_parallel(lambda pod: pod.delete(), many):
        assert answer.code == 0, answer
    assert not any(pod.netns.links() for pod in many)
    wait_for(lambda: footprint(node) == baseline, 10, f"baseline {baseline}")

    # The addresses are free again: as many pods fit a second time.
    again = in_parallel(lambda pod: pod.add(), [pods.bare(node, "again") for _ in range(PODS)])
    again[0].ping(again[-1].ip4)
    for answer in in_parallel(lambda pod: pod.delete(), again):
        assert answer.code == 0, answer
    wait_for(lambda: footprint(node) == baseline, 10, f"baseline {baseline}")
