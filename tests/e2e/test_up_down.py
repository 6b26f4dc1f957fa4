"""ci/up and ci/down: any machine will do, and no trace stays."""

import os
from pathlib import Path

import pytest
from lab.node import node_config
from lab.run import run

NR_HUGEPAGES = Path("/proc/sys/vm/nr_hugepages")


def traces(node):
    """All that a node may change outside its own directories, and those."""
    show = lambda *command: node.netns.run("ip", *command).stdout
    return {
        "links": sorted(link["ifname"] for link in node.netns.links()),
        "routes": show("route", "show", "table", "all"),
        "routes6": show("-6", "route", "show", "table", "all"),
        "host links": sorted(os.listdir("/sys/class/net")),
        "host routes": run("ip", "route", "show", "table", "all").stdout,
        "namespaces": sorted(os.listdir("/run/netns")),
        "files": sorted(str(path) for path in node.home.rglob("*")),
        "/run": sorted(os.listdir("/run")),
        "/run/dpdk": sorted(os.listdir("/run/dpdk")) if Path("/run/dpdk").exists() else None,
        "/var/lib": sorted(os.listdir("/var/lib")),
        "/dev/shm": sorted(os.listdir("/dev/shm")),
        "hugepages": NR_HUGEPAGES.read_text(),
        "mounts": len(Path("/proc/mounts").read_text().splitlines()),
        "processes": weir_processes(node),
    }


def weir_processes(node):
    """Processes that run this node's programs in its directories."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"WEIR_RUN_DIR={node.run_dir}".encode() in (process / "environ").read_bytes():
                found.append(os.readlink(process / "exe"))
        except OSError:
            continue
    return sorted(found)


@pytest.fixture(params=["off", "auto"])
def bare_node(make_node, request):
    return make_node(config=node_config(dataplane={"hugepages": request.param}))


def test_no_trace(bare_node, pods):
    node = bare_node
    a, b = pods.bare(node, "a"), pods.bare(node, "b")
    before = traces(node)
    node.up()
    a.add()
    b.add()
    a.ping(b.ip4)
    pods.memif(node)
    pods.made.pop().netns.delete()
    node.down()
    assert traces(node) == before
    assert a.netns.links() == [] and b.netns.links() == []


def test_no_trace_after_both_were_killed(bare_node, pods):
    node = bare_node
    a = pods.bare(node, "a")
    before = traces(node)
    node.up()
    a.add()
    for daemon in ("dataplane", "control"):
        node.kill(daemon)
    node.down()
    assert traces(node) == before
    assert a.netns.links() == []


def test_up_twice_and_down_twice(bare_node):
    node = bare_node
    node.up()
    pids = node.pid("dataplane"), node.pid("control")
    node.up()
    assert (node.pid("dataplane"), node.pid("control")) == pids
    node.down()
    node.down()
    node.up()


def test_hugepages_are_used_when_there_are_some(make_node):
    node = make_node(config=node_config(dataplane={"hugepages": "auto", "memory_mib": 128}))
    said = node.up().stdout
    if "running without" in said or not os.access(NR_HUGEPAGES, os.W_OK):
        pytest.skip("this machine cannot reserve 64 hugepages of 2 MiB (/proc/sys/vm/nr_hugepages)")
    assert node.ctl("status")["dataplane"]["hugepages"] is True


def test_without_hugepages(make_node, pods):
    node = make_node(config=node_config(dataplane={"hugepages": "off"}))
    node.up()
    assert node.ctl("status")["dataplane"]["hugepages"] is False
    pods.kernel(node).ping(pods.kernel(node).ip4)


def test_failed_start_leaves_no_trace(make_node):
    node = make_node()
    node.write_config('{"dataplane": {"hugepages": "auto", "nonsense": 1}}')
    before = traces(node)
    done = node.up(check=False)
    assert done.returncode != 0
    assert "nonsense" in done.stderr
    assert traces(node) == before


def test_one_core(make_node, pods):
    """Everything on one processor: worker, control, pods and their traffic."""
    core = str(min(os.sched_getaffinity(0)))
    node = make_node(wrapper=("taskset", "-c", core))
    node.up()
    a, b = pods.kernel(node), pods.kernel(node)
    a.ping(b.ip4, count=5)
    a.ping(b.ip6, count=5)
    server = b.iperf_server()
    try:
        a.run("taskset", "-c", core, "iperf3", "-c", b.ip4, "-t", "1")
    finally:
        server.wait(10)
