"""What `weirctl plan` promises holds for a running node; and a node that is full says so."""

import json

import pytest
from lab.node import DAEMONS, node_config

PODS = 30


def resident(node):
    """Bytes of both daemons that are nobody else's, hugepages left out."""
    total = 0
    for daemon in DAEMONS:
        with open(f"/proc/{node.pid(daemon)}/smaps_rollup", encoding="ascii") as rollup:
            total += sum(int(line.split()[1]) for line in rollup
                         if line.startswith(("Private_Clean:", "Private_Dirty:")))
    return total * 1024


def plan(node, pods):
    return json.loads(
        node.ctl_raw("-j", "plan", "--pods", pods, "--config", node.config_file).stdout)


@pytest.mark.release_only  # sanitizers need memory of their own
def test_memory_stays_within_the_plan(own_node, pods):
    node = own_node
    pods.kernel(node, "first")
    before = resident(node)
    assert before < int(plan(node, 1)["base_bytes"])
    for _ in range(PODS):
        pods.kernel(node, "planned")
    growth = resident(node) - before
    assert growth < int(plan(node, PODS)["port_bytes"]), f"{growth} bytes for {PODS} pods"


def test_a_full_node_tells_add_and_status(make_node, pods):
    node = make_node(config=node_config(network={"max_pods": 1}))
    node.up()
    first = pods.kernel(node, "first")
    status = node.cni_conf("1.1.0")
    late = pods.bare(node, "late")
    answer = late.call("ADD", late.netns.path)
    assert answer.json["code"] == 11, answer
    assert late.netns.links() == []
    assert node.cni("STATUS", conf=status).json["code"] == 50
    assert first.delete().code == 0
    assert node.cni("STATUS", conf=status).code == 0
    late.add().ping("10.244.0.1")
