"""weir takes over a network from host-local, address by address, and gives it back."""

import fcntl
import json
import threading
from pathlib import Path

import pytest
from lab.netns import Netns, unique
from lab.pod import AddFailed
from lab.run import run

HOST_LOCAL = Path("/usr/lib/cni/host-local")
SUBNET = "10.81.0.0/29"  # .1 gateway, .2 to .6 for pods


class HostLocal:
    """The reference plugin, as bridge or ptp would run it."""

    def __init__(self, data_dir, subnet=SUBNET):
        self.ipam = {"dataDir": str(data_dir), "ranges": [[{"subnet": subnet}]]}
        self.directory = data_dir / "weir"

    def call(self, command, container):
        conf = {"cniVersion": "1.0.0", "name": "weir", "type": "bridge",
                "ipam": self.ipam | {"type": "host-local"}}
        environment = {"CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_IFNAME": "eth0",
                       "CNI_NETNS": "/proc/self/ns/net", "CNI_PATH": "/usr/lib/cni"}
        done = run(HOST_LOCAL, input=json.dumps(conf), env=environment)
        return json.loads(done.stdout)["ips"][0]["address"].split("/")[0] if done.stdout else None

    def held(self):
        return {path.name: path.read_bytes() for path in self.directory.glob("10.*")}


@pytest.fixture
def host_local(tmp_path):
    if not HOST_LOCAL.exists():
        pytest.skip("containernetworking-plugins is not installed")
    return HostLocal(tmp_path)


@pytest.fixture
def node(own_node):
    """A node of its own: its network's name is that of the directory."""
    return own_node


def weir_pod(pods, node, host_local, **conf):
    return pods.bare(node, ipam=host_local.ipam | {"type": "weir"}, **conf)


def test_both_serve_one_network(node, pods, host_local):
    assert host_local.call("ADD", "old-1") == "10.81.0.2"
    assert host_local.call("ADD", "old-2") == "10.81.0.3"
    pod = weir_pod(pods, node, host_local).add()
    assert pod.ip4 == "10.81.0.4", "round robin goes on where host-local was"
    held = host_local.held()
    assert held["10.81.0.4"] == f"{pod.container}\r\neth0".encode()
    assert (host_local.directory / "last_reserved_ip.0").read_text() == "10.81.0.4"
    assert host_local.call("ADD", "old-3") == "10.81.0.5"
    assert weir_pod(pods, node, host_local).add().ip4 == "10.81.0.6"
    with pytest.raises(AddFailed, match="no address is left"):
        weir_pod(pods, node, host_local).add()
    done = node.cni("STATUS", conf=node.cni_conf("1.1.0", ipam=host_local.ipam))
    assert done.json["code"] == 50, done


def test_del_of_a_pod_that_host_local_attached(node, pods, host_local):
    address = host_local.call("ADD", "old-1")
    done = node.cni("DEL", "old-1", "", conf=node.cni_conf(ipam=host_local.ipam))
    assert done.code == 0, done
    assert address not in host_local.held()
    # Back again: what weir attached host-local can free.
    pod = weir_pod(pods, node, host_local).add()
    host_local.call("DEL", pod.container)
    assert pod.ip4 not in host_local.held()
    assert pod.delete().code == 0


def test_del_frees_in_both_places(node, pods, host_local):
    pod = weir_pod(pods, node, host_local).add()
    assert pod.ip4 in host_local.held()
    for _ in range(2):
        assert pod.delete().code == 0
    assert host_local.held() == {}


def test_gc_frees_what_is_not_listed(node, pods, host_local):
    for name in ("old-1", "old-2"):
        host_local.call("ADD", name)
    pod = weir_pod(pods, node, host_local).add()
    valid = [{"containerID": "old-2", "ifname": "eth0"},
             {"containerID": pod.container, "ifname": "eth0"}]
    conf = node.cni_conf("1.1.0", ipam=host_local.ipam, **{"cni.dev/valid-attachments": valid})
    assert node.cni("GC", conf=conf).code == 0
    assert set(host_local.held()) == {"10.81.0.3", pod.ip4}


def test_requested_address_of_an_old_pod_is_taken(node, pods, host_local):
    address = host_local.call("ADD", "old-1")
    with pytest.raises(AddFailed, match="host-local"):
        pods.bare(node, ipam=host_local.ipam, args=f"IP={address}").add()
    assert set(host_local.held()) == {address}


def test_ipam_show_names_the_old_pods(node, pods, host_local):
    address = host_local.call("ADD", "old-1")
    pod = weir_pod(pods, node, host_local).add()
    shown = {one["address"]: one for one in node.ctl("ipam", "show")["leases"]}
    assert shown[address]["state"] == "adopted"
    assert (shown[address]["container_id"], shown[address]["ifname"]) == ("old-1", "eth0")
    assert shown[address]["since_ms"] > 1_700_000_000_000
    assert shown[pod.ip4]["state"] == "leased"
    assert shown[pod.ip4]["container_id"] == pod.container
    pod.delete()
    shown = {one["address"]: one for one in node.ctl("ipam", "show")["leases"]}
    rest = shown[pod.ip4]
    assert rest["state"] == "resting" and rest["until_ms"] > rest["since_ms"]
    assert "adopted" in node.ctl_raw("ipam", "show").stdout


def test_the_lock_is_honoured(node, pods, host_local):
    """An ADD waits for whoever holds the lock; one that holds it for ever costs "try later"."""
    host_local.call("ADD", "old-1")
    with (host_local.directory / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pod = weir_pod(pods, node, host_local)
        with pytest.raises(AddFailed, match='"code":11'):
            pod.add()
        release = threading.Timer(0.3, fcntl.flock, (lock, fcntl.LOCK_UN))
        release.start()
        assert pod.add().ip4
        release.join()


def test_a_crash_loop_does_not_exhaust_the_pool(node, host_local):
    conf = node.cni_conf(ipam=host_local.ipam | {"type": "weir"})
    space = Netns("loop")
    try:
        for _ in range(20):
            container = unique("crash")
            done = node.cni("ADD", container, space.path, conf=conf)
            assert done.code == 0, done
            assert node.cni("DEL", container, "", conf=conf).code == 0
    finally:
        space.delete()
    assert host_local.held() == {}
