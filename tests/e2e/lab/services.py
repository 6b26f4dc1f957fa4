"""Services of a node, servers in its pods, and clients that ask them who they are."""

import json
import socket
from collections import namedtuple
from pathlib import Path

from .netns import Netns
from .run import run, stop, wait_for

Answer = namedtuple("Answer", "server client port")

SERVER = Path(__file__).with_name("answer_server.py")
PATIENCE = 10  # seconds until a change must have reached the dataplane


def parse_answer(text):
    server, client, port = text.split()
    return Answer(server, client, int(port))


def compact(name="web", vips=("10.96.0.10",), ports=("80/tcp->8080",), backends=(), **more):
    """A service in weir's short form; backends are pods, addresses or dictionaries."""
    addresses = []
    for backend in backends:
        addresses += [backend.ip4, backend.ip6] if hasattr(backend, "ip4") else [backend]
    return {"name": name, "vips": list(vips), "ports": list(ports), "backends": addresses} | more


def apply(node, *documents):
    """weirctl service apply; the dataplane has it when this returns."""
    answer = node.run(
        node.program["ctl"], "-j", "service", "apply", "-f", "-", input=json.dumps(documents)
    )
    assert json.loads(answer.stdout)["sent"], answer.stdout


def delete(node, name):
    node.ctl("service", "delete", name)


class Server:
    """answer_server.py in a pod."""

    def __init__(self, pod, name, port=8080, protocols=("tcp", "udp")):
        self.pod = pod
        self.process = pod.netns.start("/usr/bin/python3", SERVER, name, port, *protocols)
        first = self.process.stdout.readline()
        assert first == "ready\n", first + self.process.stdout.read()

    def stop(self):
        stop(self.process)


def url(address, port=80):
    return f"http://[{address}]:{port}/" if ":" in address else f"http://{address}:{port}/"


def curl(client, address, port=80, options=(), timeout=3):
    """What curl in a pod or namespace does: the finished process."""
    return client.run(
        "curl", "-sS", "--noproxy", "*", "--max-time", timeout, *options, url(address, port),
        check=False,
    )


def ask(client, address, port=80):
    """One HTTP request over a new connection; its Answer."""
    done = curl(client, address, port)
    assert done.returncode == 0, f"{address}:{port}: {done.stderr}"
    return parse_answer(done.stdout)


def servers_of(client, address, port=80, tries=24):
    """Names of the servers that a number of new connections reach."""
    return {ask(client, address, port).server for _ in range(tries)}


REFUSED, TIMED_OUT = 7, 28  # curl's exit codes


def is_refused(client, address, port=80):
    return curl(client, address, port).returncode == REFUSED


def is_dropped(client, address, port=80):
    return curl(client, address, port, timeout=1).returncode == TIMED_OUT


class Connection:
    """A TCP connection that stays, from a namespace."""

    def __init__(self, netns, address, port=80, source_port=0):
        with netns.entered():
            self.socket = socket.create_connection(
                (address, port), timeout=5, source_address=("", source_port))
        self.file = self.socket.makefile("rw", newline="\n")

    def ask(self):
        self.file.write("who\n")
        self.file.flush()
        return parse_answer(self.file.readline())

    def close(self):
        self.file.close()
        self.socket.close()


class Datagrams:
    """A UDP socket that keeps its port, from a namespace."""

    def __init__(self, netns, address, port=80, source_port=0):
        self.target = (address, port)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with netns.entered():
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.settimeout(1)
        self.socket.bind(("", source_port))
        self.socket.connect(self.target)

    def ask(self):
        """The Answer, None when none came, or the error that ICMP made of it."""
        try:
            self.socket.send(b"who")
            return parse_answer(self.socket.recv(200).decode())
        except TimeoutError:
            return None
        except ConnectionRefusedError:
            return ConnectionRefusedError

    def close(self):
        self.socket.close()


class Outside:
    """A host beside the node, on a network that is not the cluster's."""

    ADDRESS = {4: "198.18.0.2", 6: "2001:db8:18::2"}
    NODE = {4: "198.18.0.1", 6: "2001:db8:18::1"}

    def __init__(self, node):
        self.node = node
        self.netns = Netns("outside")
        run("ip", "link", "add", "uplink", "netns", node.netns.name, "type", "veth",
            "peer", "name", "eth0", "netns", self.netns.name)
        for netns, dev, own in ((node.netns, "uplink", self.NODE), (self.netns, "eth0", self.ADDRESS)):
            netns.run("ip", "link", "set", "lo", "up")
            netns.run("ip", "address", "add", f"{own[4]}/24", "dev", dev)
            netns.run("ip", "address", "add", f"{own[6]}/64", "dev", dev, "nodad")
            netns.run("ip", "link", "set", dev, "up")
        for version in (4, 6):
            self.netns.run("ip", f"-{version}", "route", "add", "default", "via", self.NODE[version])
        node.netns.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        wait_for(lambda: self.run("ping", "-nqc1", "-W1", self.NODE[6], check=False).returncode == 0,
                 10, "the node's uplink")

    def run(self, *command, **options):
        return self.netns.run(*command, **options)

    def close(self):
        self.netns.delete()


def outlives_control(node, flow):
    """The flow's answers stay the same while weir-control is away and when it is back."""
    answer = flow.ask()
    node.kill("control")
    assert flow.ask() == answer
    node.up()
    wait_for(lambda: node.ctl("status")["dataplane"]["generation"] != 0, 15, "a replay")
    assert flow.ask() == answer
