"""Pods as a runtime makes them: a namespace, one ADD, later one DEL."""

import ipaddress
import json

from .netns import Netns, unique
from .node import GATEWAY4, GATEWAY6, GATEWAY_MAC
from .run import stop, wait_for


class AddFailed(AssertionError):
    pass


class Pod:
    """What every pod has after its ADD; attributes come from the CNI result alone."""

    port = "kernel"

    def __init__(self, node, stem="pod", version="1.0.0", ifname="eth0", args="", **conf):
        self.node = node
        self.ifname = ifname
        self.netns = Netns(stem)
        self.container = unique("container")
        self.args = args
        self.variables = {}
        self.conf = node.cni_conf(version, **conf)
        self.result = None
        self.mac = None
        self.addresses = {}

    def add(self):
        answer = self.call("ADD", self.netns.path)
        if answer.code != 0:
            raise AddFailed(f"ADD: {answer}")
        self.result = answer.json
        for ip in self.result["ips"]:
            address = ipaddress.ip_interface(ip["address"]).ip
            self.addresses[address.version] = str(address)
        for interface in self.result["interfaces"]:
            if interface.get("sandbox") == self.netns.path:
                self.mac = interface.get("mac")  # none in IP mode
        return self

    def config_text(self):
        """The plugin's stdin."""
        return json.dumps(self.conf)

    def call(self, command, netns):
        return self.node.cni(command, self.container, netns, self.ifname, self.conf, self.args,
                             variables=self.variables)

    def delete(self, netns=True):
        return self.call("DEL", self.netns.path if netns else "")

    def close(self):
        """DEL, then the namespace; for the end of a test, so it never fails."""
        self.delete()
        self.netns.delete()

    @property
    def ip4(self):
        return self.addresses[4]

    @property
    def ip6(self):
        return self.addresses[6]

    def run(self, *command, **options):
        return self.netns.run(*command, **options)

    def ping(self, address, count=2, check=True, options=()):
        """True when every echo came back."""
        done = self.run(
            "ping", "-n", "-q", "-c", count, "-i", "0.05", "-W", "2", *options, address,
            check=False,
        )
        alive = done.returncode == 0 and " 0% packet loss" in done.stdout
        assert alive or not check, f"{self.container} -> {address}:\n{done.stdout}{done.stderr}"
        return alive

    def link(self):
        return self.netns.json("ip", "-d", "-j", "link", "show", "dev", self.ifname)[0]


class KernelPod(Pod):
    def iperf_server(self, port=5201):
        """A server that is listening when this returns; end it with run.stop()."""
        server = self.netns.start("iperf3", "-s", "-1", "-p", port)
        listening = lambda: f":{port} " in self.run("ss", "-Hltn").stdout
        wait_for(listening, 10, "iperf3 server")
        return server

    def iperf(self, address, *options, seconds=2, port=5201):
        """Runs a client and returns iperf3's JSON report."""
        done = self.run(
            "iperf3", "-J", "-c", address, "-p", port, "-t", seconds, *options,
            timeout=seconds + 30, check=False,
        )
        report = json.loads(done.stdout)
        assert done.returncode == 0, report.get("error", done.stdout[-500:])
        return report

    def iperf_to(self, server_pod, family, *options, seconds=2):
        """One run against another pod, server included; returns the report."""
        server = server_pod.iperf_server()
        try:
            return self.iperf(server_pod.addresses[family], *options, seconds=seconds)
        finally:
            stop(server)


class SocketPod(Pod):
    """A pod whose program reaches its port through a socket."""

    def __init__(self, node, stem=None, version="1.1.0", **options):
        super().__init__(node, stem or self.port, version, port=self.port, **options)

    @property
    def socket_path(self):
        for interface in self.result["interfaces"]:
            if interface.get("socketPath"):
                return interface["socketPath"]
        raise AssertionError(f"no socketPath in {self.result}")


    def configure(self, device, mtu=1500):
        """What a CNI plugin does for a kernel interface, done here for the client's tap."""
        self.run("ip", "link", "set", device, "address", self.mac, "mtu", mtu)
        self.run("ip", "link", "set", device, "up")
        for version, gateway, bits in ((4, GATEWAY4, 32), (6, GATEWAY6, 128)):
            self.run("ip", "address", "add", f"{self.addresses[version]}/{bits}", "dev", device,
                     *(["nodad"] if version == 6 else []))
            self.run("ip", f"-{version}", "neigh", "add", gateway, "lladdr", GATEWAY_MAC,
                     "dev", device)
            self.run("ip", f"-{version}", "route", "add", "default", "via", gateway,
                     "dev", device, "onlink")


class MemifPod(SocketPod):
    port = "memif"


class VhostPod(SocketPod):
    port = "vhost-user"
