"""vhost-user front-ends and drivers that break the rules of a running dataplane's port."""

import os
import socket
import struct

import pytest
from conftest import Attack, attacked
from lab.pod import VhostPod
from lab.run import wait_for
from memif_client import memfd
from vhost_client import (
    BUFFERS, GET_FEATURES, INDIRECT, MEMORY, NEXT, SET_FEATURES, SET_MEM_TABLE,
    SET_VRING_CALL, SET_VRING_ENABLE, SET_VRING_KICK, SET_VRING_NUM, SIZE, USER,
    WRITE, PackedClient, VhostClient, mem_table, message, number, region, vring,
)

HUGE = 2 << 20


def attacked_by(client, node, neighbours):
    """Like `attack`, on a vhost-user port."""
    pod = VhostPod(node)
    try:
        yield from attacked(node, neighbours, Attack(node, pod.add(), client))
    finally:
        pod.close()


@pytest.fixture
def vhost(node, neighbours):
    yield from attacked_by(VhostClient, node, neighbours)


@pytest.fixture
def packed(node, neighbours):
    yield from attacked_by(PackedClient, node, neighbours)


def says(*raw, fds=()):
    """Opens the channel and says these messages, the last with descriptors."""

    def case(client):
        client.open()
        for one in raw[:-1]:
            client.send(one)
        client.send(raw[-1], [fd(client) for fd in fds])

    return case


def memory(client):
    return client.fd


def pipe_end(client):
    reader, writer = os.pipe()
    os.close(writer)
    client.kicks.append(reader)  # closed with the others
    return reader


def short_file(client):
    fd = memfd(4096, seals=0)
    client.kicks.append(fd)
    return fd


def huge_file(client):
    try:
        fd = memfd(HUGE, seals=0, flags=os.MFD_HUGETLB)
    except OSError as error:
        pytest.skip(f"the kernel has no hugetlbfs memfds (CONFIG_HUGETLBFS): {error}")
    client.kicks.append(fd)
    return fd


def rings_at(base=None, size=SIZE):
    def case(client):
        client.open()
        client.say_features()
        client.say_memory()
        client.say_ring(0)
        client.say_ring(1, base, size)

    return case


LATE = "message does not come to its end within one second"
COUNT = "message of type {} with a wrong number of file descriptors"
MESSAGES = {
    "half_a_header": (says(message(GET_FEATURES)[:6]), LATE),
    "half_a_body": (says(number(SET_FEATURES, 0)[:-1]), LATE),
    "too_short": (says(message(SET_FEATURES, b"1234")), "message of type 2 is too short"),
    "too_long": (says(message(SET_FEATURES, bytes(16))), "message of type 2 is too long"),
    "huge": (says(message(SET_MEM_TABLE, size=1 << 31)),
             "message is longer than any that is known"),
    "other_version": (says(message(GET_FEATURES, flags=2)),
                      "message is not of vhost-user version 1"),
    "unknown": (says(message(4711)), "unexpected message of type 4711"),
    "features_not_offered": (says(number(SET_FEATURES, 1 << 63)),
                             "features that were not offered"),
    "no_such_ring": (says(vring(SET_VRING_NUM, 99, 256)), "vring index beyond the queues"),
    "no_such_ring_to_kick": (says(number(SET_VRING_KICK, 99), fds=[memory]),
                             "vring index beyond the queues"),
    "ring_of_zero": (says(vring(SET_VRING_NUM, 0, 0)), "vring size is not 1 to 32768"),
    "kick_on_a_pipe": (says(number(SET_VRING_KICK, 0), fds=[pipe_end]),
                       "vring's file descriptor is not an eventfd"),
    "call_on_memory": (says(number(SET_VRING_CALL, 0), fds=[memory]),
                       "vring's file descriptor is not an eventfd"),
    "kick_without_descriptor": (says(number(SET_VRING_KICK, 0)), COUNT.format(12)),
    "surplus_descriptors": (says(message(GET_FEATURES), fds=[memory] * 3), COUNT.format(1)),
    "many_descriptors": (says(message(GET_FEATURES), fds=[memory] * 200),
                         "message with more than 8 file descriptors"),
}

MEMORIES = {
    "no_region": (says(mem_table()), "memory table has not 1 to 8 regions"),
    "no_descriptor": (says(mem_table(region())), COUNT.format(5)),
    "on_a_pipe": (says(mem_table(region()), fds=[pipe_end]), "memory region is not shared memory"),
    "truncated": (says(mem_table(region()), fds=[short_file]),
                  "memory region's file is too short"),
    "offset_beyond": (says(mem_table(region(offset=4096)), fds=[memory]),
                      "memory region's file is too short"),
    "empty": (says(mem_table(region(size=0)), fds=[memory]), "memory region of size zero"),
    "wraps": (says(mem_table(region(guest=2**64 - 4096)), fds=[memory]),
              "memory region wraps around"),
    "enormous": (says(mem_table(region(size=1 << 40)), fds=[memory]),
                 "memory region larger than 64 GiB"),
    "hugetlbfs": (says(mem_table(region(size=HUGE)), fds=[huge_file]),
                  "memory region on hugetlbfs: the port must be trusted"),
}

PLACES = {
    "outside": (rings_at(USER + MEMORY), "vring lies outside the memory table"),
    "across_the_end": (rings_at(USER + MEMORY - 4096), "vring lies outside the memory table"),
    "at_zero": (rings_at(0), "vring lies outside the memory table"),
    "at_the_top": (rings_at(2**64 - 4096), "vring lies outside the memory table"),
    "unaligned": (rings_at(USER + 0x8003), "vring is not aligned"),
    "odd_size": (rings_at(size=100), "vring size is not a power of two"),
}


@pytest.mark.parametrize("case, reason", MESSAGES.values(), ids=MESSAGES)
def test_message(vhost, case, reason):
    refuse(vhost, case, reason)


@pytest.mark.parametrize("case, reason", MEMORIES.values(), ids=MEMORIES)
def test_memory(vhost, case, reason):
    refuse(vhost, case, reason)


@pytest.mark.parametrize("case, reason", PLACES.values(), ids=PLACES)
def test_vring_address(vhost, case, reason):
    refuse(vhost, case, reason)


def refuse(attack, case, reason):
    """It is hung up on, `weirctl port show` says why, and the next front-end is served."""
    client = attack.client()
    case(client)
    assert client.hung_up()
    attack.expect("down", reason)
    attack.client().connect()
    attack.expect("up", "")


def chain(ring, *descriptors, head=0, index=None):
    """A driver that makes these descriptors available: (address, length, flags, next)."""

    def case(client):
        for slot, one in enumerate(descriptors):
            client.describe(ring, slot, *one)
        client.offer(ring, head, index=index)

    return case


CHAINS = {
    "index_far_away": (chain(1, (BUFFERS, 100), index=0x8000),
                       "available index moved beyond the ring"),
    "head_beyond": (chain(1, (BUFFERS, 100), head=SIZE), "descriptor number beyond the ring"),
    "next_beyond": (chain(1, (BUFFERS, 100, NEXT, 9999)), "descriptor number beyond the ring"),
    "endless": (chain(1, (BUFFERS, 100, NEXT, 0)), "chain of more than 32 descriptors"),
    "outside": (chain(1, (MEMORY, 100)), "descriptor points outside the memory table"),
    "across_the_end": (chain(1, (MEMORY - 50, 100)),
                       "descriptor points outside the memory table"),
    "wraps": (chain(1, (2**64 - 50, 100)), "descriptor points outside the memory table"),
    "to_be_written": (chain(1, (BUFFERS, 100, WRITE)), "descriptor for the wrong direction"),
    "no_frame": (chain(1, (BUFFERS, 12)), "buffer is shorter than the header"),
    "empty": (chain(1, (BUFFERS, 0)), "buffer is shorter than the header"),
    "too_long": (chain(1, (BUFFERS, 70000)), "frame longer than 65553 bytes"),
    "table_outside": (chain(1, (MEMORY, 64, INDIRECT)),
                      "indirect table is empty, odd, nested or outside the memory"),
    "table_odd": (chain(1, (BUFFERS, 17, INDIRECT)),
                  "indirect table is empty, odd, nested or outside the memory"),
    "table_in_itself": (chain(1, (0x8000, 32, INDIRECT)),
                        "indirect table is empty, odd, nested or outside the memory"),
}


# Packed rings have no indices, and chains need no links.
SPLIT_ALONE = {"index_far_away", "head_beyond", "next_beyond", "endless"}
PACKED_CHAINS = {name: case for name, case in CHAINS.items() if name not in SPLIT_ALONE} | {
    "endless": (chain(1, *[(BUFFERS, 100, NEXT)] * 40), "chain of more than 32 descriptors"),
}
GONE = "memory was taken away (truncated file, or no pages left)"


def quarantine(attack, case, reason):
    """The link ends, its port says why, and the next front-end is served."""
    client = attack.client().connect()
    attack.expect("up", "")
    case(client)
    attack.expect("quarantined", reason)
    assert client.hung_up()
    attack.client().connect()
    attack.expect("up", "")


@pytest.mark.parametrize("case, reason", CHAINS.values(), ids=CHAINS)
def test_transmit_ring(vhost, case, reason):
    quarantine(vhost, case, f"transmit ring: {reason}")


@pytest.mark.parametrize("case, reason", PACKED_CHAINS.values(), ids=PACKED_CHAINS)
def test_packed_transmit_ring(packed, case, reason):
    quarantine(packed, case, f"transmit ring: {reason}")


def truncate(client):
    os.ftruncate(client.fd, 0)
    os.eventfd_write(client.kicks[1], 1)


def test_truncated_while_connected(vhost):
    """The worker meets pages that are gone: the port goes, nothing else does."""
    quarantine(vhost, truncate, GONE)


def test_packed_ring_truncated_while_connected(packed):
    quarantine(packed, truncate, GONE)


def test_truncated_while_it_is_sent_to(vhost, neighbours):
    client = vhost.client().connect()
    vhost.expect("up", "")
    for slot in range(SIZE):
        client.describe(0, slot, BUFFERS + 2048 * slot, 2048, WRITE)
    client.offer(0, *range(SIZE))
    os.ftruncate(client.fd, BUFFERS)
    neighbours.sending_pod.ping(vhost.pod.ip4, count=3, check=False)
    vhost.expect("quarantined", GONE)


def test_full_call_descriptor(vhost):
    """It holds up nobody, blocking as it is."""
    client = vhost.client().connect()
    vhost.expect("up", "")
    assert client.called(1)
    os.eventfd_read(client.calls[1])
    os.eventfd_write(client.calls[1], 2**64 - 2)
    for round_ in range(1, 4):
        client.describe(1, 0, BUFFERS, 100)
        client.offer(1, *[0] * round_)
        wait_for(lambda: client.used(1) == round_, 5, "the frame's return")
    vhost.expect("up", "")


def test_rings_change_all_the_time(vhost):
    """Each change takes the rings from the worker and gives them back."""
    client = vhost.client().connect()
    for _ in range(20):
        client.say_memory()
        client.send(vring(SET_VRING_ENABLE, 1, 0))
        client.send(vring(SET_VRING_ENABLE, 1, 1))
    vhost.expect("up", "")
    client.describe(1, 0, BUFFERS, 100)
    client.offer(1, 0)
    wait_for(lambda: client.used(1) == 1, 5, "the frame's return")


def test_second_front_end(vhost):
    first = vhost.client().connect()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as second:
        second.connect(vhost.pod.socket_path)
        second.settimeout(10)
        assert second.recv(1) == b""
    vhost.expect("up", "")
    first.send(message(GET_FEATURES))
    assert len(first.reply()) == struct.calcsize("<Q")
