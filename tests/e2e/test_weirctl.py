"""weirctl says the truth, in tables and in JSON."""

import json
import subprocess
import threading

import pytest
from lab.packets import IP, UDP, Ether, PacketSocket
from lab.node import GATEWAY_MAC
from lab.run import stop

LISTS = [
    ("port", "list"),
    ("route", "list"),
    ("worker", "show"),
    ("drop", "list"),
    ("drop", "list", "--all"),
    ("pod", "list"),
    ("stats",),
    ("status",),
    ("ipam", "show"),
    ("version",),
]


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_text_and_json(node, pair, command):
    pair[0].ping(pair[1].ip4)
    text = node.ctl_raw(*command)
    assert text.stdout.strip()
    answer = json.loads(node.ctl_raw("-j", *command).stdout)
    assert answer or command == ("drop", "list")


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("port", "show", "no-such-port"), ("route", "add", "10.0.0.1/8")]
)
def test_mistakes_get_a_sentence(node, arguments):
    done = node.ctl_raw(*arguments, check=False)
    assert done.returncode != 0
    assert done.stderr.strip()
    assert "terminate called" not in done.stderr


def test_without_daemons(make_node):
    node = make_node()
    done = node.ctl_raw("port", "list", check=False)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1


def test_port_counts_what_passed(node, pair):
    a, b = pair
    before = node.ports()[a.ip4]["counters"]
    a.ping(b.ip4, count=5)
    after = node.ports()[a.ip4]["counters"]
    assert int(after["rx_packets"]) - int(before["rx_packets"]) >= 5
    assert int(after["tx_packets"]) - int(before["tx_packets"]) >= 5


def test_lists_name_the_pod(node, pods):
    args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0"
    pod = pods.kernel(node, args=args)
    shown = next(p for p in node.ctl("pod", "list") if p["container_id"] == pod.container)
    assert shown["name"] == "shop/cart-0"
    assert node.ports()[pod.ip4]["name"] == "shop/cart-0"
    assert node.ctl("port", "show", "shop/cart-0")["addresses"][0] == pod.ip4


def test_routes_come_and_go(node, pair):
    a, _ = pair
    prefixes = lambda: {route["prefix"] for route in node.ctl("route", "list")}
    assert f"{a.ip4}/32" in prefixes() and f"{a.ip6}/128" in prefixes()
    node.ctl_raw("route", "add", "203.0.113.0/24", "via", a.ip4)
    assert "203.0.113.0/24" in prefixes()
    node.ctl_raw("route", "del", "203.0.113.0/24")
    assert "203.0.113.0/24" not in prefixes()


def test_added_route_carries_packets(node, pair):
    """A pod that routes for a prefix behind it gets that prefix's packets."""
    a, b = pair
    node.ctl_raw("route", "add", "203.0.113.0/24", "via", b.ip4)
    try:
        with PacketSocket(b) as at_b, PacketSocket(a) as wire:
            frame = Ether(src=a.mac, dst=GATEWAY_MAC) / IP(src=a.ip4, dst="203.0.113.5")
            wire.send(frame / UDP(sport=1, dport=2) / b"behind b")
            assert at_b.wait(lambda seen: UDP in seen and seen[IP].dst == "203.0.113.5")
    finally:
        node.ctl_raw("route", "del", "203.0.113.0/24")


def traced(node, port, send, options=()):
    """What `weirctl trace` printed. Some packets are the pod kernel's own, such as
    multicast listener reports, so it traces more than the one that is looked for."""
    command = [node.program["ctl"], *options, "trace", "--port", port, "--count", "20"]
    trace = node.netns.start(
        *command, "--timeout", "10", env=node.environment, stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )

    def send_until_it_ends():
        # Until the trace has begun packets pass unseen.
        while trace.poll() is None:
            send()

    sender = threading.Thread(target=send_until_it_ends)
    sender.start()
    try:
        return trace.stdout.read()
    finally:
        stop(trace)
        sender.join()


def test_trace_of_a_delivered_packet(node, pair):
    a, b = pair
    text = traced(node, a.ip4, lambda: a.ping(b.ip4, count=1))
    stages = ("express", "route", "rewrite", "tx")
    ways = text.split("\n\n")
    assert any(all(stage in way for stage in stages) for way in ways), text


def test_trace_of_a_drop_as_json(node, pair):
    a, b = pair
    lie = Ether(src=a.mac, dst=GATEWAY_MAC) / IP(src=b.ip4, dst=b.ip4) / UDP() / b"lie"

    def send():
        with PacketSocket(a) as wire:
            wire.send(lie)
            a.ping(b.ip4, count=1)

    packets = [json.loads(line) for line in traced(node, a.ip4, send, ("-j",)).splitlines()]
    assert all(packet["in_port"]["name"] for packet in packets)
    dropped = [packet for packet in packets if packet["steps"][-1]["verdict"] == "source_ip4"]
    assert dropped, packets
    assert "parse" in [step["stage"] for step in dropped[0]["steps"]]
