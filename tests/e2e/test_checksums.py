"""Every packet that a receiver sees has right checksums, offloads on or off."""

import pytest
from lab.packets import IP, TCP, UDP, IPv6, PacketSocket, checksum_fault
from lab.run import stop

ENOUGH = 100


def received(receiver, run):
    """Frames that came in while run() ran."""
    with PacketSocket(receiver) as capture:
        run()
        return capture.drain()


def check(frames, layer, at_least):
    of_interest = [frame for frame in frames if layer in frame]
    assert len(of_interest) >= at_least
    faults = [fault for fault in map(checksum_fault, frames) if fault]
    assert not faults, f"{len(faults)} of {len(frames)} frames: {faults[:3]}"
    return of_interest


def no_offloads(pod):
    pod.run("ethtool", "-K", pod.ifname, "tx", "off", "tso", "off", "gso", "off")


@pytest.mark.parametrize("offloads", [True, False], ids=["offloads", "no-offloads"])
@pytest.mark.parametrize("version", [4, 6])
def test_tcp(pair, version, offloads):
    a, b = pair
    if not offloads:
        no_offloads(a)
    server = b.iperf_server()
    try:
        frames = received(b, lambda: a.run("iperf3", "-c", b.addresses[version], "-n", "2M"))
    finally:
        stop(server)
    tcp = check(frames, TCP, 20)
    if not offloads:
        assert not any(frame.partial for frame in tcp), "the sender summed these itself"


@pytest.mark.parametrize("offloads", [True, False], ids=["offloads", "no-offloads"])
@pytest.mark.parametrize("version", [4, 6])
def test_udp(pair, version, offloads):
    a, b = pair
    if not offloads:
        no_offloads(a)
    server = b.iperf_server()
    flood = ("-u", "-b", "10M", "-l", "1000", "-k", str(ENOUGH))
    try:
        frames = received(b, lambda: a.run("iperf3", "-c", b.addresses[version], *flood))
    finally:
        stop(server)
    check(frames, UDP, ENOUGH * 0.9)


@pytest.mark.parametrize("version", [4, 6])
def test_echo(pair, version):
    a, b = pair
    frames = received(b, lambda: a.ping(b.addresses[version], count=5))
    check(frames, {4: IP, 6: IPv6}[version], 5)
