"""A memif 2.0 client that can do every step right, apart, and wrong.

Messages, descriptors and indices are the caller's to forge; the layout is that of
dataplane/ports/memif/protocol.h. tests/memif/raw_client.h is the same for tests in C++.
"""

import array
import fcntl
import mmap
import os
import select
import socket
import struct
import time

ACK, HELLO, INIT, ADD_REGION, ADD_RING, CONNECT, CONNECTED, DISCONNECT = range(1, 9)
MESSAGE_SIZE = 128
COOKIE = 0x3E31F20
VERSION = 0x0200
TO_SERVER = 1  # ring flag: what the client sends
NEXT = 1  # descriptor flag

_F_ADD_SEALS = 1033
SEAL_SHRINK = 2
_RING_HEADER = 128
_DESCRIPTOR = struct.Struct("<HHIII")  # flags, region, length, offset, metadata


class Refused(Exception):
    """The server hung up; the text is the reason it gave, "" for none."""


def memfd(size, seals=SEAL_SHRINK, flags=0):
    fd = os.memfd_create("hostile", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | flags)
    os.ftruncate(fd, size)
    if seals:
        fcntl.fcntl(fd, _F_ADD_SEALS, seals)
    return fd


def message(kind, body=b""):
    return (struct.pack("<H", kind) + body).ljust(MESSAGE_SIZE, b"\0")


def init(version=VERSION, identifier=0, mode=0, secret=b"", name=b"hostile"):
    return message(INIT, struct.pack("<HIB24s32s", version, identifier, mode, secret, name))


def add_region(index, size):
    return message(ADD_REGION, struct.pack("<HQ", index, size))


def add_ring(flags, index=0, region=0, offset=0, log2_size=6, private_header=0):
    return message(
        ADD_RING, struct.pack("<HHHIBH", flags, index, region, offset, log2_size, private_header)
    )


class MemifClient:
    """One connection. Use as a context manager; leaving it closes everything at once."""

    def __init__(self, path, log2_ring=6, buffer=2048, seals=SEAL_SHRINK, timeout=10):
        self.path = path
        self.log2_ring = log2_ring
        self.size = 1 << log2_ring
        self.buffer = buffer
        self.ring_bytes = _RING_HEADER + self.size * _DESCRIPTOR.size
        self.memory_size = 2 * (self.ring_bytes + self.size * buffer)
        self.timeout = timeout
        self.socket = None
        self.memory = None
        self.fd = memfd(self.memory_size, seals)
        self.events = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(2)]
        self.heads = {True: 0, False: 0}
        self.map()

    def map(self):
        self.memory = mmap.mmap(self.fd, self.memory_size)
        self.words = memoryview(self.memory).cast("H")
        for to_server in (True, False):
            self.set_header(to_server, cookie=COOKIE, flags=1)
            for slot in range(self.size):
                self.set_descriptor(to_server, slot, length=self.buffer)

    # ---- the control channel

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(self.timeout)
        self.socket.connect(str(self.path))
        self.expect(HELLO)
        return self

    def send(self, raw, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([raw], rights)

    def receive(self):
        """The next message as (type, body); Refused when there is none any more."""
        try:
            raw = self.socket.recv(MESSAGE_SIZE)
        except ConnectionResetError:
            raw = b""
        if not raw:
            raise Refused("")
        kind = struct.unpack_from("<H", raw)[0]
        if kind == DISCONNECT:
            raise Refused(raw[6:].split(b"\0")[0].decode())
        return kind, raw[2:]

    def expect(self, wanted):
        kind, body = self.receive()
        assert kind == wanted, f"expected message {wanted}, got {kind}"
        return body

    def ask(self, raw, fds=(), answer=ACK):
        self.send(raw, fds)
        return self.expect(answer)

    def say_init(self, **fields):
        self.ask(init(**fields))

    def say_region(self):
        self.ask(add_region(0, self.memory_size), [self.fd])

    def ring_message(self, to_server=True, **fields):
        fields = {"offset": self.ring_offset(to_server), "log2_size": self.log2_ring} | fields
        return add_ring(TO_SERVER if to_server else 0, **fields)

    def say_rings(self):
        for to_server in (True, False):
            self.ask(self.ring_message(to_server), [self.events[to_server]])

    def connect(self):
        self.open()
        self.say_init()
        self.say_region()
        self.say_rings()
        self.ask(message(CONNECT, b"hostile0"), answer=CONNECTED)
        self.refill()
        return self

    def reason(self):
        """Waits until the server hangs up and returns what it said."""
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            try:
                self.receive()
            except Refused as refused:
                return str(refused)
        raise TimeoutError("the server did not hang up")

    def hung_up(self):
        return bool(select.select([self.socket], [], [], 0)[0])

    # ---- the shared memory

    def ring_offset(self, to_server):
        return 0 if to_server else self.ring_bytes

    def buffer_offset(self, to_server, slot):
        first = 2 * self.ring_bytes + (0 if to_server else self.size * self.buffer)
        return first + (slot % self.size) * self.buffer

    def set_header(self, to_server, cookie=None, flags=None, head=None, tail=None):
        at = self.ring_offset(to_server)
        if cookie is not None:
            struct.pack_into("<I", self.memory, at, cookie)
        # One store each: struct clears the bytes first, and the server would see that.
        for where, value in ((at + 4, flags), (at + 6, head), (at + 64, tail)):
            if value is not None:
                self.words[where // 2] = value

    def set_head(self, to_server, head):
        self.heads[to_server] = head & 0xFFFF
        self.set_header(to_server, head=head & 0xFFFF)

    def tail(self, to_server):
        return struct.unpack_from("<H", self.memory, self.ring_offset(to_server) + 64)[0]

    def set_descriptor(self, to_server, slot, flags=0, region=0, length=60, offset=None):
        offset = self.buffer_offset(to_server, slot) if offset is None else offset
        at = self.ring_offset(to_server) + _RING_HEADER + (slot % self.size) * _DESCRIPTOR.size
        _DESCRIPTOR.pack_into(self.memory, at, flags, region, length, offset, 0)

    def refill(self):
        """Offers every buffer of the receiving ring that the server has filled."""
        for slot in range(self.size):
            self.set_descriptor(False, slot, length=self.buffer)
        self.set_head(False, self.tail(False) + self.size)

    def send_frame(self, frame):
        slot = self.heads[True]
        at = self.buffer_offset(True, slot)
        self.memory[at : at + len(frame)] = frame
        self.set_descriptor(True, slot, length=len(frame))
        self.set_head(True, slot + 1)
        self.notify()

    def notify(self):
        """Wakes a worker that sleeps; whether it wants that is no matter."""
        os.eventfd_write(self.events[True], 1)

    def close(self):
        if self.socket:
            self.socket.close()
        self.words.release()
        self.memory.close()
        for fd in (self.fd, *self.events):
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
