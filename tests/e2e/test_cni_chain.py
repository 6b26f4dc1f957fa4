"""weir-cni in a chain and CHECK after the other plugins, on a whole node."""

import json
from pathlib import Path

import pytest
from lab.run import run, wait_for

PLUGINS = Path("/usr/lib/cni")  # Debian's containernetworking-plugins
VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


class Chain:
    """Runs a conflist as libcni does: each ADD gets the result so far; DEL backwards."""

    def __init__(self, node, pod, *plugins):
        self.node = node
        self.pod = pod
        self.plugins = [pod.conf if one == "weir" else one for one in plugins]
        self.result = None

    def call(self, command, plugin):
        conf = plugin | {"name": self.pod.conf["name"], "cniVersion": self.pod.conf["cniVersion"]}
        if self.result:
            conf["prevResult"] = self.result
        pod = self.pod
        if plugin is pod.conf:
            done = self.node.cni(command, pod.container, pod.netns.path, pod.ifname, conf)
            assert done.code == 0, done
            return done.json
        environment = {"CNI_COMMAND": command, "CNI_CONTAINERID": pod.container,
                       "CNI_NETNS": pod.netns.path, "CNI_IFNAME": pod.ifname,
                       "CNI_PATH": str(PLUGINS), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        done = run(PLUGINS / plugin["type"], env=environment, input=json.dumps(conf))
        return json.loads(done.stdout) if done.stdout.strip() else None

    def add(self):
        for plugin in self.plugins:
            self.result = self.call("ADD", plugin)
        return self

    def check(self):
        for plugin in self.plugins:
            self.call("CHECK", plugin)

    def delete(self):
        for plugin in reversed(self.plugins):
            self.call("DEL", plugin)


@pytest.fixture
def plugins():
    if not (PLUGINS / "tuning").exists():
        pytest.skip("containernetworking-plugins is not installed")


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0"])
def test_plugins_after_weir(node, pods, plugins, version):
    pod = pods.bare(node, version=version)
    tuning = {"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}, "mtu": 1400,
              "mac": "02:00:00:11:22:33"}
    chain = Chain(node, pod, "weir", tuning).add()
    link = pod.link()
    assert (link["mtu"], link["address"]) == (1400, "02:00:00:11:22:33")
    assert chain.result["interfaces"][0]["mac"] == "02:00:00:11:22:33"
    chain.check()
    # Only what the chain reported is tolerated.
    pod.run("ip", "link", "set", pod.ifname, "address", "02:00:00:11:22:44")
    done = node.cni("CHECK", pod.container, pod.netns.path, pod.ifname,
                    pod.conf | {"prevResult": chain.result})
    assert done.json["code"] == 103, done
    chain.delete()
    assert pod.netns.links() == []


PREVIOUS = {
    "cniVersion": "1.0.0",
    "interfaces": [{"name": "veth7", "mac": "02:00:00:00:00:07"},
                   {"name": "net1", "mac": "02:00:00:00:00:08", "sandbox": "/run/netns/x"}],
    "ips": [{"address": "192.0.2.7/24", "gateway": "192.0.2.1", "interface": 1}],
    "routes": [{"dst": "198.51.100.0/24", "gw": "192.0.2.1"}],
    "dns": {"nameservers": ["192.0.2.53"]},
}


@pytest.mark.parametrize("position", ["middle", "last"])
def test_what_earlier_plugins_reported_is_passed_on(node, pods, position):
    pod = pods.bare(node, version="1.0.0", prevResult=PREVIOUS).add()
    result = pod.result
    assert result["interfaces"][:2] == PREVIOUS["interfaces"]
    assert result["ips"][0] == PREVIOUS["ips"][0]
    assert result["routes"][0] == PREVIOUS["routes"][0]
    assert result["dns"] == PREVIOUS["dns"]
    own = result["interfaces"][2]
    assert (own["name"], own["sandbox"]) == ("eth0", pod.netns.path)
    assert all(ip["interface"] == 2 for ip in result["ips"][1:])
    if position == "middle":  # the next one adds to it
        result = result | {"interfaces": result["interfaces"] + [{"name": "ifb0"}]}
    done = node.cni("CHECK", pod.container, pod.netns.path, conf=pod.conf | {"prevResult": result})
    assert done.code == 0, done


@pytest.mark.parametrize("version", VERSIONS)
def test_result_shape_of_every_version(node, pods, version):
    pod = pods.bare(node, version=version)
    done = pod.call("ADD", pod.netns.path)
    assert done.code == 0, done
    result = done.json
    assert result["cniVersion"] == version
    assert "dns" not in result
    if version in ("0.1.0", "0.2.0"):
        assert set(result) == {"cniVersion", "ip4", "ip6"}
        assert set(result["ip4"]) == {"ip", "gateway", "routes"}
        assert result["ip4"]["routes"] == [{"dst": "0.0.0.0/0", "gw": "10.244.0.1"}]
    else:
        assert set(result) == {"cniVersion", "interfaces", "ips", "routes"}
        old = version < "1.0.0"
        assert [ip.get("version") for ip in result["ips"]] == (["4", "6"] if old else [None, None])
        (interface,) = result["interfaces"]
        assert interface["sandbox"] == pod.netns.path
        assert ("mtu" in interface) == (version == "1.1.0")
        assert all(result["interfaces"][ip["interface"]]["name"] == "eth0" for ip in result["ips"])
    assert pod.delete().code == 0


BREAK = {
    "interface gone": lambda pod: pod.run("ip", "link", "delete", "eth0"),
    "interface down": lambda pod: pod.run("ip", "link", "set", "eth0", "down"),
    "address gone": lambda pod: pod.run("ip", "address", "flush", "dev", "eth0"),
    "route gone": lambda pod: pod.run("ip", "-6", "route", "delete", "default"),
}


@pytest.mark.parametrize("damage", BREAK.values(), ids=BREAK.keys())
def test_check_sees_damage(node, pods, damage):
    pod = pods.kernel(node)
    conf = pod.conf | {"prevResult": pod.result}
    assert node.cni("CHECK", pod.container, pod.netns.path, conf=conf).code == 0
    damage(pod)
    done = node.cni("CHECK", pod.container, pod.netns.path, conf=conf)
    assert done.json["code"] == 103, done


def test_check_of_an_unknown_container(node, pods):
    pod = pods.bare(node)
    done = pod.call("CHECK", pod.netns.path)
    assert done.json["code"] == 3, done


def test_check_of_a_foreign_address(node, pods):
    pod = pods.kernel(node)
    other = {**pod.result, "ips": [{"address": "10.244.0.250/32"}]}
    done = node.cni("CHECK", pod.container, pod.netns.path, conf=pod.conf | {"prevResult": other})
    assert done.json["code"] == 103, done


VALID = {
    "empty": ([], 0),
    "null": (None, 0),
    "absent": (..., 2),
    "one": ("first", 1),
    "other ifname": ([{"containerID": "x", "ifname": "eth9"}], 0),
}


@pytest.mark.parametrize(("valid", "left"), VALID.values(), ids=VALID.keys())
def test_gc(own_node, pods, valid, left):
    node = own_node
    first, second = pods.kernel(node), pods.kernel(node)
    if valid == "first":
        valid = [{"containerID": first.container, "ifname": "eth0"}]
    keys = {} if valid is ... else {"cni.dev/valid-attachments": valid}
    done = node.cni("GC", conf=node.cni_conf("1.1.0", **keys))
    assert done.code == 0, done
    assert len(node.ctl("pod", "list")) == left
    other = node.cni_conf("1.1.0", **{"cni.dev/valid-attachments": []}) | {"name": "other"}
    assert node.cni("GC", conf=other).code == 0
    assert len(node.ctl("pod", "list")) == left, "another network's attachments are not its own"
    assert second.delete().code == 0


def test_status(make_node):
    node = make_node()
    conf = node.cni_conf("1.1.0")
    assert node.cni("STATUS", conf=conf).json["code"] == 50
    node.up()
    assert node.cni("STATUS", conf=conf).code == 0
    small = conf | {"ipam": {"ranges": [[{"subnet": "10.99.0.0/30"}]]}}
    assert node.cni("STATUS", conf=small).code == 0
    node.kill("dataplane")
    wait_for(lambda: node.cni("STATUS", conf=conf).code != 0, 5, "weir-control sees it")
    assert node.cni("STATUS", conf=conf).json["code"] == 50


def test_status_says_when_addresses_are_exhausted(own_node, pods):
    ipam = {"ranges": [[{"subnet": "10.99.0.0/30"}]]}
    pods.kernel(own_node, ipam=ipam)
    conf = own_node.cni_conf("1.1.0", ipam=ipam)
    done = own_node.cni("STATUS", conf=conf)
    assert done.json["code"] == 50, done
