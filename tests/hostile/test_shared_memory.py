"""Connected clients that lie in their shared memory, against a running dataplane."""

import ctypes
import os
import threading

import pytest
from lab.run import wait_for
from memif_client import CONNECT, CONNECTED, NEXT, Refused, message
from probe import flood

_FALLOC_KEEP_SIZE_PUNCH_HOLE = 3
_libc = ctypes.CDLL(None, use_errno=True)


def sends(*descriptors, head=None):
    """Puts these descriptors into the transmit ring and moves its head behind them."""

    def case(client):
        for slot, fields in enumerate(descriptors):
            client.set_descriptor(True, slot, **fields)
        client.set_head(True, len(descriptors) if head is None else head)
        client.notify()

    return case


REGION = "transmit ring: descriptor names an unknown region"
RANGE = "transmit ring: descriptor points outside its region"
EMPTY = "transmit ring: descriptor of length zero"
CHAIN = "transmit ring: chain of more than 16 descriptors"
HEAD = "transmit ring: head moved beyond the ring"

TRANSMIT = {
    "unknown_region": (sends({"region": 1}), REGION),
    "region_65535": (sends({"region": 65535}), REGION),
    "offset_outside": (sends({"offset": 0xFFFFFFF0}), RANGE),
    "sum_overflows": (sends({"offset": 0xFFFFFFFF, "length": 0xFFFFFFFF}), RANGE),
    "length_outside": (sends({"offset": 64, "length": 0xFFFFFFFF}), RANGE),
    "length_zero": (sends({"length": 0}), EMPTY),
    "ring_of_zero_length_next": (sends(*[{"flags": NEXT, "length": 0}] * 64), EMPTY),
    "second_piece_outside": (sends({"flags": NEXT}, {"offset": 0xFFFFFFF0}), RANGE),
    "endless_chain": (sends(*[{"flags": 0xFFFF}] * 64), CHAIN),
    "chain_beyond_the_head": (sends({"flags": NEXT}),
                              "transmit ring: chain goes on beyond the head"),
    "frame_too_long": (sends(*[{"flags": NEXT, "offset": 0, "length": 60000}] * 2),
                       "transmit ring: frame longer than 65553 bytes"),
    "head_jumps": (sends(head=65), HEAD),
    "head_far_away": (sends(head=0x8000), HEAD),
    "head_goes_back": (sends(head=0xFFFF), HEAD),
}


@pytest.mark.parametrize("case, reason", TRANSMIT.values(), ids=TRANSMIT)
def test_transmit_ring(attack, case, reason):
    client = attack.client().connect()
    case(client)
    assert client.reason() == f"quarantined: {reason}"[:95]
    attack.expect("quarantined", reason)


def offers(**fields):
    """Replaces every buffer that the server may fill."""

    def case(client):
        for slot in range(client.size):
            client.set_descriptor(False, slot, **fields)

    return case


RECEIVE = {
    "head_jumps": (lambda client: client.set_head(False, client.tail(False) + client.size + 1),
                   "receive ring: head moved beyond the ring"),
    "unknown_region": (offers(region=7, length=2048),
                       "receive ring: descriptor names an unknown region"),
    "buffer_outside": (offers(offset=0xFFFFF000, length=2048),
                       "receive ring: descriptor points outside its region"),
    "sum_overflows": (offers(offset=0xFFFFFFFF, length=0xFFFFFFFF),
                      "receive ring: descriptor points outside its region"),
    "buffer_empty": (offers(length=0), "receive ring: buffer of length zero"),
}


@pytest.mark.parametrize("case, reason", RECEIVE.values(), ids=RECEIVE)
def test_receive_ring(attack, neighbours, case, reason):
    client = attack.client().connect()
    case(client)
    # Somebody has to send to it, or nobody looks at its buffers.
    neighbours.sending_pod.ping(attack.pod.ip4, count=1, check=False, options=("-W", "0.2"))
    attack.expect("quarantined", reason)
    assert client.reason() == f"quarantined: {reason}"[:95]


def test_quarantine_ends(attack):
    """The client that lied is refused for a second and served after that."""
    client = attack.client().connect()
    client.set_head(True, 999)
    client.notify()
    attack.expect("quarantined", HEAD)
    with pytest.raises(Refused, match=f"quarantined: {HEAD}"):
        attack.client().open()

    def served():
        try:
            return attack.client().connect()
        except Refused:
            return None

    wait_for(served, 5, "the end of the quarantine")
    attack.expect("up", "")


def test_overwritten_tails_cookies_and_flags(attack):
    """Our indices are private: what the peer writes over them changes nothing."""
    client = attack.client().connect()
    frames = 200
    for number in range(frames):
        for to_server in (True, False):
            client.set_header(to_server, cookie=number, flags=number, tail=number * 77)
        client.send_frame(bytes(60))
        if number % 32 == 31:
            wait_for(lambda: attack.count("rx_packets") == number + 1, 10, "the frames so far")
    wait_for(lambda: attack.count("rx_packets") == frames, 10, "all frames")
    attack.expect("up", "")


def test_truncated_while_connected(attack):
    """The seal holds: memory cannot be taken away under the worker."""
    client = attack.client().connect()
    with pytest.raises(PermissionError):
        os.ftruncate(client.fd, 0)
    attack.expect("up", "")


def test_holes_in_the_memory(attack):
    """Pages that are given back read as zeros, also while the worker uses them."""
    client = attack.client().connect()
    client.send_frame(bytes(1000))
    hole = (client.fd, _FALLOC_KEEP_SIZE_PUNCH_HOLE, ctypes.c_long(0),
            ctypes.c_long(client.memory_size))
    assert _libc.fallocate(*hole) == 0, os.strerror(ctypes.get_errno())
    client.notify()
    # A head of zero is behind what the worker took already, or is where it still stands.
    wait_for(lambda: attack.port()["link"] in ("quarantined", "up"), 10, "a verdict")


def test_memory_that_changes_all_the_time(attack, neighbours):
    """Every word of rings and buffers is rewritten while frames go both ways."""
    client = attack.client().connect()
    stream = flood(neighbours.sending_pod, attack.pod.ip4)
    stop = threading.Event()

    def scribble():
        number = 0
        while not stop.is_set():
            number += 1
            client.memory[0 : 2 * client.ring_bytes] = os.urandom(2 * client.ring_bytes)
            client.notify()

    writer = threading.Thread(target=scribble)
    writer.start()
    try:
        wait_for(lambda: attack.port()["link"] == "quarantined", 20, "the quarantine")
    finally:
        stop.set()
        writer.join()
        stream.kill()
        stream.wait()
    assert client.reason().startswith("quarantined: ")


def test_stalled_reader(attack, neighbours):
    """It never takes a frame out of its ring: what is sent to it is lost, and only that."""
    attack.client().connect()
    before = attack.node.drops()["tx_ring_full"]
    sent = neighbours.counts()[0]
    stream = flood(neighbours.sending_pod, attack.pod.ip4)
    try:
        wait_for(lambda: attack.node.drops()["tx_ring_full"] > before + 1000, 20, "drops")
        wait_for(lambda: neighbours.counts()[0] > sent + 200, 20, "the other pods' packets")
    finally:
        stream.kill()
        stream.wait()
    attack.expect("up", "")


def test_doorbell_that_blocks(attack, neighbours):
    """An eventfd whose next write would wait for its reader stops nobody."""
    client = attack.client()
    os.close(client.events[False])
    client.events[False] = os.eventfd(0, os.EFD_CLOEXEC)
    client.connect()
    os.eventfd_write(client.events[False], 2**64 - 2)
    client.set_header(False, flags=0)  # wants interrupts
    stream = flood(neighbours.sending_pod, attack.pod.ip4)
    sent = neighbours.counts()[0]
    try:
        wait_for(lambda: neighbours.counts()[0] > sent + 200, 20, "the other pods' packets")
        wait_for(lambda: attack.count("tx_packets") > 0, 10, "frames for it")
    finally:
        stream.kill()
        stream.wait()
    # The helper thread serves the next client, too.
    client.socket.close()
    attack.expect("down", "client is gone")
    attack.client().connect()
    attack.expect("up", "")


def test_rings_over_each_other(attack, neighbours):
    """Both rings in one place: the client harms itself alone."""
    client = attack.client()
    client.open()
    client.say_init()
    client.say_region()
    for to_server in (True, False):
        client.ask(client.ring_message(to_server, offset=0), [client.events[to_server]])
    client.ask(message(CONNECT), answer=CONNECTED)
    for slot in range(client.size):
        client.set_descriptor(True, slot, offset=0, length=1024)
    client.set_head(True, client.size)
    client.notify()
    neighbours.sending_pod.ping(attack.pod.ip4, count=3, check=False, options=("-W", "0.2"))
    wait_for(lambda: attack.port()["link"] in ("up", "quarantined"), 10, "a verdict")
