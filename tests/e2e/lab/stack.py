"""Kernels behind ports, of namespaces and of guests, and what they exchange with each other.

A stack has `addresses` by version, `sh(command, check)` that runs a line of shell, and an
iperf3 server.
"""

import json
import re

from .run import CommandFailed, stop, wait_for


class NetnsStack:
    """The node's kernel in one namespace. Use as a context manager."""

    def __init__(self, netns, addresses, ifname="eth0"):
        self.netns, self.addresses, self.ifname = netns, addresses, ifname
        self.server = netns.start("iperf3", "-s")
        listening = lambda: ":5201 " in netns.run("ss", "-Hltn").stdout
        wait_for(listening, 10, "iperf3 server")

    def sh(self, command, check=True):
        done = self.netns.run("busybox", "sh", "-c", command, check=False)
        if check and done.returncode != 0:
            raise CommandFailed(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def received(self):
        """Packets and bytes that came to its interface."""
        link = self.netns.json("ip", "-s", "-j", "link", "show", "dev", self.ifname)[0]
        return link["stats64"]["rx"]["packets"], link["stats64"]["rx"]["bytes"]

    def close(self):
        stop(self.server)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ping(source, target, version, size=56, count=2):
    """Echoes that came back. The sender's kernel sets DF while it knows of no smaller MTU."""
    done = source.sh(f"busybox ping -q -c {count} -i 0.1 -W 3 -s {size} "
                     f"{target.addresses[version]}", check=False)
    return int(done.stdout.split(" packets received")[0].rsplit(" ", 1)[1])


def iperf(client, server, version, options):
    """The client's report of its end. The server is deaf for a moment after each run."""

    def report():
        done = client.sh(f"iperf3 -J -c {server.addresses[version]} {options}", check=False)
        answer = json.loads(done.stdout)
        error = answer.get("error", "")
        assert not error or re.search("Connection (refused|reset)", error), error
        return None if error else answer["end"]

    return wait_for(report, 10, "the iperf3 server")


def tcp(source, target, version, size=200_000):
    """All bytes arrive at the target, which opens the connection: who receives ends it."""
    end = iperf(target, source, version, f"-R -n {size}")
    assert end["sum_received"]["bytes"] >= size, end["sum_received"]


def udp(source, target, version, count=20):
    """All datagrams arrive."""
    end = iperf(source, target, version, f"-u -b 2M -l 1000 -k {count}")
    assert (end["sum"]["packets"], end["sum"]["lost_packets"]) == (count, 0), end["sum"]
