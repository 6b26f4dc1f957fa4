"""cnitool of the CNI project: all verbs as the reference library makes them."""

import json
import os
import shutil

import pytest
from lab.netns import Netns
from lab.run import TREE, run, wait_for

pytestmark = pytest.mark.release_only

MODULE = "github.com/containernetworking/cni/cnitool@v1.3.0"  # needs Go 1.21

# cnitool keeps results under /var/lib/cni; a mount of our own hides the machine's.
PRIVATE = 'mkdir -p /var/lib/cni && mount --bind "$1" /var/lib/cni && shift && exec "$@"'


@pytest.fixture(scope="module")
def cnitool(tmp_path_factory):
    if found := shutil.which("cnitool"):
        return found
    if not shutil.which("go"):
        pytest.skip("neither cnitool nor a Go toolchain to build it is installed")
    home = tmp_path_factory.mktemp("cnitool")
    done = run("go", "install", MODULE, env=os.environ | {"GOBIN": str(home)}, check=False,
               timeout=300)
    if done.returncode != 0:
        pytest.skip(f"go install {MODULE}: {done.stderr.strip()[-200:]}")
    return str(home / "cnitool")


class Cnitool:
    def __init__(self, program, node, home, version="1.1.0"):
        self.program = program
        self.node = node
        self.cache = home / "cache"
        self.cache.mkdir()
        conflist = json.loads((TREE / "config/10-weir.conflist").read_text())
        (home / "weir.conflist").write_text(json.dumps(conflist | {"cniVersion": version}))
        self.environment = node.environment | {
            "NETCONFPATH": str(home),
            "CNI_PATH": str(node.program["cni"].parent),
        }

    def __call__(self, verb, netns, capabilities=None, check=True):
        environment = self.environment | {"CAP_ARGS": json.dumps(capabilities or {})}
        arguments = [self.program, verb, "weir", netns]
        return run("unshare", "--mount", "sh", "-c", PRIVATE, "sh", self.cache, *arguments,
                   env=environment, check=check)


@pytest.fixture
def space():
    space = Netns("cnitool")
    yield space
    space.delete()


def attached(node):
    return len(node.ctl("pod", "list"))


def test_add_check_del(own_node, space, cnitool, tmp_path):
    tool = Cnitool(cnitool, own_node, tmp_path)
    result = json.loads(tool("add", space.path, {"ips": ["10.244.0.66"]}).stdout)
    assert result["cniVersion"] == "1.1.0"
    assert "10.244.0.66/32" in [ip["address"] for ip in result["ips"]]
    tool("check", space.path)
    space.run("ip", "address", "flush", "dev", "eth0")
    assert tool("check", space.path, check=False).returncode != 0
    for _ in range(2):
        tool("del", space.path)
    assert attached(own_node) == 0


def test_status(own_node, space, cnitool, tmp_path):
    tool = Cnitool(cnitool, own_node, tmp_path)
    tool("status", space.path)
    own_node.kill("dataplane")
    # weir-control learns of it when the kernel has taken the process apart.
    refused = lambda: tool("status", space.path, check=False).returncode != 0
    wait_for(refused, 10, "a STATUS that fails")


def test_gc(own_node, pods, space, cnitool, tmp_path):
    """cnitool sends no list: what it knows gets DEL, the GC behind it frees nothing."""
    tool = Cnitool(cnitool, own_node, tmp_path)
    tool("add", space.path)
    pod = pods.kernel(own_node)
    assert attached(own_node) == 2
    tool("gc", space.path)
    assert [one["container_id"] for one in own_node.ctl("pod", "list")] == [pod.container]
    assert space.links() == []


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_older_versions(own_node, space, cnitool, tmp_path, version):
    tool = Cnitool(cnitool, own_node, tmp_path, version)
    assert json.loads(tool("add", space.path).stdout)["cniVersion"] == version
    tool("del", space.path)
    assert attached(own_node) == 0
