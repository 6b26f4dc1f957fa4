"""A node without traffic leaves the processor alone."""

import os
import time

WINDOW = 5.0  # seconds
LIMIT = 0.05  # of one core


def cpu_seconds(pid):
    """utime and stime of the whole process."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_idle_dataplane(own_node, pods):
    node = own_node
    made = [pods.kernel(node) for _ in range(8)]
    made[0].ping(made[1].ip4)
    made.append(pods.memif(node))
    pid = node.pid("dataplane")
    best = 1.0
    # The quietest of a few windows counts: new interfaces chatter for some seconds
    # (duplicate address detection, MLD), and that is traffic.
    for _ in range(4):
        start = cpu_seconds(pid)
        time.sleep(WINDOW)
        best = min(best, (cpu_seconds(pid) - start) / WINDOW)
        if best < LIMIT:
            break
    assert best < LIMIT, f"weir-dataplane took {best:.1%} of a core without traffic"


def test_sleeping_worker_wakes_up(own_node, pods):
    node = own_node
    a, b = pods.kernel(node), pods.kernel(node)
    for _ in range(3):
        sleeps = sum(int(worker["sleeps"]) for worker in node.ctl("worker", "show"))
        deadline = time.monotonic() + 10
        while sum(int(w["sleeps"]) for w in node.ctl("worker", "show")) == sleeps:
            assert time.monotonic() < deadline, "the worker never slept"
        a.ping(b.ip4, count=1)
