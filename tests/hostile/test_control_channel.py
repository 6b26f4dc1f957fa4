"""Clients that break the protocol on the control socket of a running dataplane."""

import os
import socket
import time
from pathlib import Path

import pytest
from memif_client import (
    CONNECT, DISCONNECT, INIT, add_region, init, memfd, message,
)

_PAGE = 4096
_HUGE = 2 << 20


def region_of(make_fd, size=65536, index=0):
    """Offers a region of `size` bytes on a descriptor of some kind."""

    def case(client):
        client.open()
        client.say_init()
        fd = make_fd()
        client.send(add_region(index, size), [fd] if fd is not None else [])
        if fd is not None:
            os.close(fd)

    return case


def pipe_end():
    reader, writer = os.pipe()
    os.close(writer)
    return reader


def socket_end():
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).detach()


def regular_file():
    path = Path("/tmp") / f"hostile-{os.getpid()}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)
    os.ftruncate(fd, 1 << 20)
    return fd


def hugetlb():
    try:
        return memfd(_HUGE, flags=os.MFD_HUGETLB)
    except OSError as error:
        pytest.skip(f"the kernel has no hugetlbfs memfds (CONFIG_HUGETLBFS): {error}")


REGIONS = {
    "pipe": (region_of(pipe_end), "region is not a memfd"),
    "socket": (region_of(socket_end), "region is not a memfd"),
    "regular_file": (region_of(regular_file), "region is not a memfd"),
    "device": (region_of(lambda: os.open("/dev/zero", os.O_RDWR)), "region is not a memfd"),
    "hugetlb": (region_of(hugetlb, _HUGE), "region on hugetlbfs"),
    "unsealed": (region_of(lambda: memfd(65536, seals=0)), "region's memfd lacks F_SEAL_SHRINK"),
    "truncated": (region_of(lambda: memfd(_PAGE)), "region's memfd is too short"),
    "one_byte_short": (region_of(lambda: memfd(65535)), "region's memfd is too short"),
    "empty": (region_of(lambda: memfd(_PAGE), 0), "region of size zero"),
    "huge_size": (region_of(lambda: memfd(_PAGE), 1 << 63), "regions of more than 1 GiB in all"),
    "index_skipped": (region_of(lambda: memfd(65536), index=1), "region index out of order"),
    "no_descriptor": (region_of(lambda: None), "region without its file descriptor"),
}


def after_region(step):
    def case(client):
        client.open()
        client.say_init()
        client.say_region()
        step(client)

    return case


def ring_with(**fields):
    return after_region(
        lambda client: client.send(client.ring_message(**fields), [client.events[True]])
    )


def ring_on(make_fd):
    def step(client):
        fd = make_fd()
        client.send(client.ring_message(), [fd])
        os.close(fd)

    return after_region(step)


def ring_twice(client):
    client.ask(client.ring_message(), [client.events[True]])
    client.send(client.ring_message(), [client.events[True]])


def no_cookie(client):
    client.set_header(False, cookie=0)
    client.say_rings()
    client.send(message(CONNECT))


RINGS = {
    "huge_log2_size": (ring_with(log2_size=255), "ring size is not 2^5 to 2^14"),
    "log2_size_of_64": (ring_with(log2_size=64), "ring size is not 2^5 to 2^14"),
    "tiny_log2_size": (ring_with(log2_size=0), "ring size is not 2^5 to 2^14"),
    "outside": (ring_with(offset=0xFFFFFFC0), "ring lies outside its region"),
    "offset_not_aligned": (ring_with(offset=4), "ring offset is not a multiple of 64"),
    "unknown_region": (ring_with(region=9), "ring in an unknown region"),
    "index_beyond_queues": (ring_with(index=999), "more rings than queues"),
    "private_header": (ring_with(private_header=8), "private headers are not supported"),
    "twice": (after_region(ring_twice), None),
    "on_a_pipe": (ring_on(pipe_end), "ring's file descriptor is not an eventfd"),
    "on_a_socket": (ring_on(socket_end), "ring's file descriptor is not an eventfd"),
    "on_a_memfd": (ring_on(lambda: memfd(_PAGE)), "ring's file descriptor is not an eventfd"),
    "without_cookie": (after_region(no_cookie), "ring without its cookie"),
    "none_at_all": (after_region(lambda client: client.send(message(CONNECT))),
                    "a ring for each direction is needed"),
}


def says(*raw, fds=0):
    """Opens the channel and says these messages, the last with so many descriptors."""

    def case(client):
        client.open()
        for one in raw[:-1]:
            client.ask(one)
        client.send(raw[-1], [client.fd] * fds)

    return case


MESSAGES = {
    "connect_first": (says(message(CONNECT)), "unexpected message of type 6"),
    "region_first": (says(add_region(0, _PAGE), fds=1), "unexpected message of type 4"),
    "init_twice": (says(init(), init()), "unexpected message of type 3"),
    "unknown_type": (says(message(4711)), "unexpected message of type 4711"),
    "wrong_version": (says(init(version=0x0300)), "protocol version is not 2.0"),
    "wrong_mode": (says(init(mode=1)), "this port is in Ethernet mode"),
    "short": (says(message(INIT)[:64]), "message is not 128 bytes long"),
    "long": (says(message(INIT) + b"x"), "message is not 128 bytes long"),
    "surplus_descriptors": (says(init(), add_region(0, _PAGE), fds=253),
                            "unexpected file descriptor"),
    "descriptor_nobody_wants": (says(init(), fds=1), "unexpected file descriptor"),
    "nothing": (lambda client: client.open(), "no message within one second"),
}


@pytest.mark.parametrize("case, reason", REGIONS.values(), ids=REGIONS)
def test_region(attack, case, reason):
    refuse(attack, case, reason)


@pytest.mark.parametrize("case, reason", RINGS.values(), ids=RINGS)
def test_ring(attack, case, reason):
    refuse(attack, case, reason or "ring index out of order")


@pytest.mark.parametrize("case, reason", MESSAGES.values(), ids=MESSAGES)
def test_message(attack, case, reason):
    refuse(attack, case, reason)


def refuse(attack, case, reason):
    """The client is told why, `weirctl port show` as well, and the next client is served."""
    client = attack.client()
    case(client)
    assert client.reason() == reason
    attack.expect("down", reason)
    attack.client().connect()
    attack.expect("up", "")


def test_messages_after_connect(attack):
    client = attack.client().connect()
    client.send(init())
    assert client.reason() == "unexpected message of type 3"
    attack.expect("down", "unexpected message of type 3")


def test_disconnect_with_escape_sequences(attack):
    """A peer's text goes to terminals: only printable ASCII of it does."""
    client = attack.client().connect()
    client.send(message(DISCONNECT, b"\0\0\0\0bye\x1b[31m\n"))
    attack.expect("down", "client disconnected: bye?[31m?")


def test_second_client(attack):
    first = attack.client().connect()
    second = attack.client()
    with pytest.raises(Exception, match="another client is connected"):
        second.open()
    attack.expect("up", "")
    assert not first.hung_up()


def test_client_that_never_reads_its_socket(attack):
    """Its answers pile up; the port gives it up and does not wait."""
    client = attack.client()
    client.open()
    client.say_init()
    fd = memfd(_PAGE)
    sent = 0
    try:
        for index in range(16):
            client.send(add_region(index, _PAGE), [fd])
            sent += 1
    except OSError:
        pass
    os.close(fd)
    assert sent >= 1
    # It read nothing since: at the latest the deadline ends it.
    attack.expect("down", "no message within one second")


def test_connections_in_a_loop(attack):
    """A pod that does nothing but connect gets its share of the main thread, no more."""
    until = time.monotonic() + 1
    count = 0
    while time.monotonic() < until:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
            one.connect(str(attack.pod.socket_path))
            count += 1
            started = time.monotonic()
            attack.node.ctl("status")
            assert time.monotonic() - started < 5
    assert count > 1
    attack.client().connect()


def test_descriptors_that_nobody_takes_out(attack):
    """Queued behind a message that ends the connection: they go with the socket."""
    client = attack.client()
    client.open()
    client.socket.setblocking(False)
    client.send(message(0))
    try:
        for _ in range(50):
            client.send(message(0), [client.fd] * 200)
    except OSError:
        pass
    client.socket.settimeout(10)
    assert client.reason() in ("unexpected message of type 0", "")
    attack.expect("down", "unexpected message of type 0")


def test_hangs_up_before_its_answers(attack):
    """Answers to a socket without a reader."""
    for _ in range(30):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
            one.connect(str(attack.pod.socket_path))
            one.send(init())
    attack.expect("down", "client is gone")
    attack.client().connect()


def descriptors(pid):
    """Number and target of each; the numbers of those that a child would inherit."""
    targets, inherited = {}, set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        targets[fd] = os.readlink(f"/proc/{pid}/fd/{fd}")
        flags = Path(f"/proc/{pid}/fdinfo/{fd}").read_text().split("flags:")[1].split()[0]
        if not int(flags, 8) & os.O_CLOEXEC:
            inherited.add(fd)
    return targets, inherited


def test_descriptors_are_closed_on_exec(attack):
    """A program that the dataplane starts would inherit nothing of a pod's."""
    pid = attack.node.pid("dataplane")
    before, _ = descriptors(pid)
    attack.client().connect()
    attack.expect("up", "")
    after, inherited = descriptors(pid)
    new = {fd for fd, target in after.items() if before.get(fd) != target}
    assert len(new) >= 3, "the client's socket and its two eventfds"
    assert not {after[fd] for fd in new & inherited}


def test_log_names_who_connected(attack):
    """As the kernel knows it, whatever the client says of itself."""
    attack.client().connect()
    log = attack.node.run_dir / "dataplane.log"
    who = f"connected, pid {os.getpid()} uid {os.getuid()} gid {os.getgid()}"
    assert who in log.read_text()
