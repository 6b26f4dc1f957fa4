"""Services under floods and constant change: who is not concerned loses nothing."""

import json
import time

import pytest
from lab.node import node_config
from lab.run import TREE
from lab.services import Connection, Datagrams, Server, apply, ask, compact

LAB = TREE / "tests/e2e/lab"
QUOTA = 4096  # connections of one pod: an eighth of all
VIP, TARGET = "10.96.5.10", "10.96.5.11"


class Probe:
    """A UDP flow that asks every few milliseconds and counts what came back."""

    def __init__(self, client, address, port=80):
        self.flow = Datagrams(client.netns, address, port)
        self.sent = self.answered = 0

    def run_while(self, busy):
        self.flow.socket.setblocking(False)
        while busy():
            self.flow.socket.send(b"who")
            self.sent += 1
            time.sleep(0.002)  # the stream's pace
            self.collect()
        self.flow.socket.settimeout(1)
        while self.answered < self.sent:
            try:
                self.flow.socket.recv(200)
            except TimeoutError:
                break
            self.answered += 1
        self.flow.close()

    def collect(self):
        try:
            while True:
                self.flow.socket.recv(200)
                self.answered += 1
        except BlockingIOError:
            pass


def finished(process):
    output = process.communicate(timeout=10)[0]
    assert process.returncode == 0, output
    return int(output)


# Thousands of packets a second through Python and the kernel: sanitizers would measure
# themselves.
@pytest.mark.release_only
def test_a_flood_of_new_flows_from_one_pod_costs_others_nothing(make_node, pods):
    node = make_node(config=node_config(dataplane={"connections": 8 * QUOTA}))
    node.up()
    server_pod, client, flooder, sink = (
        pods.kernel(node, stem) for stem in ("server", "client", "flooder", "sink"))
    server = Server(server_pod, "server")
    connection = None
    try:
        apply(node, compact(vips=[VIP], ports=["80/tcp->8080", "80/udp->8080"], backends=[server_pod]),
              compact("target", vips=[TARGET], ports=["80/udp->9"], backends=[sink]))
        connection = Connection(client.netns, VIP)
        probe = Probe(client, VIP)
        before = connection.ask()
        flood = flooder.netns.start("/usr/bin/python3", LAB / "flow_flood.py", flooder.ifname,
                                    flooder.mac, flooder.ip4, TARGET, 80, 2)
        probe.run_while(lambda: flood.poll() is None)
        assert finished(flood) > 2 * QUOTA  # in two seconds; where nothing else runs, 400,000
        assert probe.sent > 200
        assert probe.answered == probe.sent
        assert connection.ask() == before
        assert ask(client, VIP).server == "server"  # there is room for others
        assert node.drops()["connection_quota"] > 0
        stats = node.ctl("conn", "stats")
        assert QUOTA <= stats["in_use"] < 2 * QUOTA
    finally:
        if connection:
            connection.close()
        server.stop()


SERVICES = 128  # whose endpoint comes or goes with each file


def write_services(file, *backends):
    documents = [
        compact(f"web-{i}", vips=[f"10.96.5.{1 + i}"], ports=["80/udp->8080"], backends=backends)
        for i in range(SERVICES)
    ]
    file.write_text(json.dumps(documents))
    return file


# As many changes as that take a processor, which the sanitized programs would need whole.
@pytest.mark.release_only
def test_a_thousand_endpoint_changes_a_second_lose_no_packet(own_node, pods, tmp_path):
    stable, coming, client = (pods.kernel(own_node, stem) for stem in ("stable", "coming", "client"))
    servers = [Server(stable, "stable"), Server(coming, "coming")]
    both = write_services(tmp_path / "both.json", stable, coming)
    one = write_services(tmp_path / "one.json", stable)
    try:
        own_node.ctl("service", "apply", "-f", one)
        probe = Probe(client, "10.96.5.1")
        seconds = 2
        churn = own_node.netns.start("/usr/bin/python3", LAB / "endpoint_churn.py",
                                     own_node.program["ctl"], seconds, both, one,
                                     env=own_node.environment)
        probe.run_while(lambda: churn.poll() is None)
        changes = finished(churn) * SERVICES
        assert changes / seconds > 1000
        assert probe.sent > 200
        assert probe.answered == probe.sent
    finally:
        for server in servers:
            server.stop()
