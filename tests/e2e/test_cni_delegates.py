"""Delegated IPAM: other people's plugins give the addresses, and nothing of theirs leaks."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from lab.pod import AddFailed
from lab.run import TREE, run, stop, wait_for

PLUGINS = Path("/usr/lib/cni")  # Debian's containernetworking-plugins

# A plugin that keeps what it sees, one folder a run, and does what `act` says.
RECORDER = """#!/bin/sh
home={home}
run=$home/$(date +%s%N)-$CNI_COMMAND
mkdir "$run"
cat > "$run/stdin"
env > "$run/env"
{act}
"""
GIVES = """
if [ "$CNI_COMMAND" = ADD ]; then
  echo '{"cniVersion": "0.2.0", "ip4": {"ip": "10.77.0.9/24", "gateway": "10.77.0.1"}}'
fi
"""


class Delegate:
    def __init__(self, home, act=GIVES, name="recorder"):
        self.home = home
        self.name = name
        self.directory = home / "bin"
        self.directory.mkdir()
        self.act(act)

    def act(self, text):
        path = self.directory / self.name
        new = path.with_suffix(".new")
        new.write_text(RECORDER.format(home=self.home, act=text))
        new.chmod(0o755)
        new.rename(path)

    def remove(self):
        (self.directory / self.name).unlink()

    def runs(self, command=None):
        """What each run saw, oldest first: command, stdin, environment."""
        seen = []
        for run in sorted(self.home.glob("*-*")):
            environment = dict(
                line.split("=", 1) for line in (run / "env").read_text().splitlines() if "=" in line
            )
            seen.append((environment["CNI_COMMAND"], (run / "stdin").read_text(), environment))
        return [one for one in seen if command in (None, one[0])]

    def commands(self):
        return [command for command, _, _ in self.runs()]


@pytest.fixture
def delegate(tmp_path):
    return Delegate(tmp_path)


def bare(pods, node, delegate, version="1.0.0", **ipam):
    pod = pods.bare(node, version=version, ipam={"type": delegate.name, **ipam})
    pod.variables = {"CNI_PATH": f"/nonexistent:{delegate.directory}", "WEIR_TEST": "a=b c"}
    return pod


def pods_of(node, pod):
    return [one for one in node.ctl("pod", "list") if one["container_id"] == pod.container]


def leases(node):
    return {one["address"]: one for one in node.ctl("ipam", "show")["leases"]}


def test_stdin_and_environment_are_the_runtimes_own(node, pods, delegate):
    pod = bare(pods, node, delegate).add()
    pod.delete()
    assert delegate.commands() == ["ADD", "DEL"]
    for _, stdin, environment in delegate.runs():
        assert stdin == json.dumps(pod.conf)
        assert environment["CNI_CONTAINERID"] == pod.container
        assert environment["CNI_NETNS"] == pod.netns.path
        assert environment["CNI_IFNAME"] == "eth0"
        assert environment["CNI_PATH"] == pod.variables["CNI_PATH"]
        assert environment["WEIR_TEST"] == "a=b c"


@pytest.mark.parametrize("version", ["0.3.1", "1.0.0"])
def test_the_address_is_used_and_routed(node, pods, delegate, version):
    pod = bare(pods, node, delegate, version).add()
    assert pod.ip4 == "10.77.0.9"
    assert pod.result["ips"][0]["gateway"] == "10.77.0.1"
    pod.ping("10.77.0.1")
    pods.kernel(node).ping("10.77.0.9")
    assert leases(node)["10.77.0.9"]["container_id"] == pod.container
    pod.delete()
    assert "10.77.0.9" not in leases(node), "a delegated address rests at its plugin, not here"


def test_check_gc_and_status_are_forwarded(node, pods, delegate):
    pod = bare(pods, node, delegate, "1.1.0").add()
    previous = pod.conf | {"prevResult": pod.result}
    done = node.cni("CHECK", pod.container, pod.netns.path, conf=previous, variables=pod.variables)
    assert done.code == 0, done
    for command in ("STATUS", "GC"):
        done = node.cni(command, conf=pod.conf, variables=pod.variables)
        assert done.code == 0, done
    assert delegate.commands() == ["ADD", "CHECK", "STATUS", "GC"]
    delegate.act("""echo '{"code": 51, "msg": "no uplink"}'; exit 1""")
    done = node.cni("STATUS", conf=pod.conf, variables=pod.variables)
    assert done.json["code"] == 51, done
    delegate.act("""echo '{"code": 7, "msg": "odd"}'; exit 1""")
    done = node.cni("STATUS", conf=pod.conf, variables=pod.variables)
    assert done.json["code"] == 50, done
    done = node.cni("CHECK", pod.container, pod.netns.path, conf=previous, variables=pod.variables)
    assert done.json["code"] == 7, done
    delegate.act("exit 0")


def test_a_hanging_status_is_bounded(node, delegate):
    delegate.act("sleep 100")
    conf = node.cni_conf("1.1.0", ipam={"type": delegate.name})
    started = time.monotonic()
    done = node.cni("STATUS", conf=conf, variables={"CNI_PATH": str(delegate.directory)})
    assert done.json["code"] == 50, done
    assert time.monotonic() - started < 2


BAD = {
    "own error": ("""echo '{"code": 111, "msg": "full", "details": "of it"}'; exit 1""", 111),
    "failure without error": ("echo nonsense; exit 3", 100),
    "garbage": ("echo 'not json'", 6),
    "nothing": ("exit 0", 6),
    "endless": ("cat /dev/zero", 5),
    "no address": ("echo '{}'", 7),
    "bad address": ("""echo '{"ips": [{"address": "10.0.0.300/24"}]}'""", 6),
    "signal": ("kill -SEGV $$", 100),
    "gateway itself": (
        """echo '{"ips": [{"address": "10.1.1.1/24", "gateway": "10.1.1.1"}]}'""", 7),
}


@pytest.mark.parametrize(("act", "code"), BAD.values(), ids=BAD.keys())
def test_a_failed_add_is_followed_by_del_and_leaves_nothing(node, pods, delegate, act, code):
    delegate.act(f"[ $CNI_COMMAND = DEL ] && exit 0\n{act}")
    pod = bare(pods, node, delegate)
    with pytest.raises(AddFailed) as failure:
        pod.add()
    assert f'"code":{code},' in str(failure.value).replace(" ", ""), failure.value
    assert delegate.commands() == ["ADD", "DEL"]
    assert pods_of(node, pod) == []
    assert pod.netns.links() == []


def test_an_address_that_is_taken_here_is_given_back(node, pods, delegate):
    first = bare(pods, node, delegate).add()
    second = bare(pods, node, delegate)
    with pytest.raises(AddFailed, match="taken"):
        second.add()
    assert delegate.commands() == ["ADD", "ADD", "DEL"]
    assert delegate.runs("DEL")[0][2]["CNI_CONTAINERID"] == second.container
    first.ping("10.77.0.1")


def test_a_missing_plugin_is_named(node, pods, delegate):
    delegate.remove()
    pod = bare(pods, node, delegate)
    with pytest.raises(AddFailed, match="recorder.*CNI_PATH"):
        pod.add()
    assert pod.delete().code == 0


def test_a_del_that_the_plugin_refuses_is_tried_again(own_node, pods, delegate):
    pod = bare(pods, own_node, delegate).add()
    delegate.act("exit 1")
    assert pod.delete().code == 0
    assert pods_of(own_node, pod)[0]["state"] == "deleting"
    assert pod.netns.links() == []
    delegate.act("exit 0")
    # What a restart finds unfinished it finishes, as the plugin's ADD saw it.
    own_node.kill("control")
    own_node.up()
    assert pods_of(own_node, pod) == []
    _, stdin, environment = delegate.runs("DEL")[-1]
    assert json.loads(stdin)["ipam"]["type"] == delegate.name
    assert environment["WEIR_TEST"] == "a=b c"


def test_a_killed_control_kills_and_undoes_the_plugin(own_node, pods, delegate):
    started = delegate.home / "started"
    delegate.act(f"[ $CNI_COMMAND = ADD ] && {{ touch {started}; sleep 100; }}; exit 0")
    pod = bare(pods, own_node, delegate)
    environment = own_node.environment | pod.variables | {
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": pod.container, "CNI_NETNS": pod.netns.path,
        "CNI_IFNAME": "eth0",
    }
    shim = subprocess.Popen([own_node.program["cni"]], env=environment, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        shim.stdin.write(json.dumps(pod.conf))
        shim.stdin.close()
        shim.stdin = None
        wait_for(started.exists, 10, "the plugin's start")
        own_node.kill("control")
        own_node.up()
        assert json.loads(shim.stdout.read())["code"] == 11
    finally:
        stop(shim)
    assert delegate.commands() == ["ADD", "DEL"]
    assert pods_of(own_node, pod) == []


@pytest.fixture
def reference():
    if not (PLUGINS / "host-local").exists():
        pytest.skip("containernetworking-plugins is not installed")
    return {"CNI_PATH": str(PLUGINS)}


def test_host_local(node, pods, reference, tmp_path):
    ipam = {"type": "host-local", "dataDir": str(tmp_path),
            "ranges": [[{"subnet": "10.78.0.0/24"}], [{"subnet": "fd78::/64"}]]}
    pod = pods.bare(node, ipam=ipam)
    pod.variables = reference
    pod.add()
    assert (pod.ip4, pod.ip6) == ("10.78.0.2", "fd78::2")
    other = pods.kernel(node)
    pod.ping(other.ip4)
    pod.ping(other.ip6)
    held = tmp_path / "weir" / "10.78.0.2"
    assert held.read_bytes().startswith(pod.container.encode())
    done = node.cni("CHECK", pod.container, pod.netns.path,
                    conf=pod.conf | {"prevResult": pod.result}, variables=reference)
    assert done.code == 0, done
    assert pod.delete().code == 0
    assert not held.exists()


def test_static(node, pods, reference):
    ipam = {"type": "static", "addresses": [{"address": "10.79.0.5/24"}],
            "routes": [{"dst": "10.244.0.0/16"}]}
    pod = pods.bare(node, ipam=ipam)
    pod.variables = reference
    pod.add()
    assert pod.ip4 == "10.79.0.5"
    routes = {route["dst"] for route in pod.netns.json("ip", "-j", "route")}
    assert "10.244.0.0/16" in routes and "default" not in routes
    pod.ping(pods.kernel(node).ip4)


@pytest.fixture
def dhcp_daemon(reference, tmp_path):
    """No DHCP server hears a routed pod's broadcast, so the daemon is a stand-in."""
    if not shutil.which("go"):
        pytest.skip("no Go toolchain to build the stand-in for the dhcp plugin's daemon")
    program = tmp_path / "fake-dhcp"
    run("go", "build", "-o", program, TREE / "tests/e2e/lab/fake_dhcp.go",
        env=os.environ | {"GOFLAGS": "-mod=mod"}, timeout=300)
    socket = tmp_path / "dhcp.sock"
    daemon = subprocess.Popen([program, socket], stdout=subprocess.PIPE, text=True)
    try:
        assert daemon.stdout.readline() == "ready\n"
        yield daemon, socket
    finally:
        stop(daemon)


def test_dhcp(node, pods, reference, dhcp_daemon):
    daemon, socket = dhcp_daemon
    pod = pods.bare(node, ipam={"type": "dhcp", "daemonSocketPath": str(socket)})
    pod.variables = reference
    pod.add()
    assert pod.ip4 == "10.82.0.9"
    assert daemon.stdout.readline().split() == ["allocate", pod.container, pod.netns.path, "eth0"]
    pod.ping("10.82.0.1")
    assert pod.delete().code == 0
    assert daemon.stdout.readline().split() == ["release", pod.container]


def test_dhcp_without_its_daemon(node, pods, reference, tmp_path):
    pod = pods.bare(node, ipam={"type": "dhcp", "daemonSocketPath": str(tmp_path / "none")})
    pod.variables = reference
    with pytest.raises(AddFailed, match="dhcp"):
        pod.add()
    assert pod.netns.links() == []
