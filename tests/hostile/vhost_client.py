"""A vhost-user front-end that can do every step right, apart, and wrong. The layout is that of
dataplane/ports/vhost/protocol.h."""

import array
import mmap
import os
import select
import socket
import struct

from lab.run import wait_for
from memif_client import memfd

(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE) = range(1, 6)
(SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL,
 SET_VRING_ERR, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
 SET_VRING_ENABLE) = range(8, 19)

VERSION_1 = 1 << 32
PROTOCOL_FEATURES = 1 << 30
PACKED = 1 << 34
NEXT, WRITE, INDIRECT = 1, 2, 4  # descriptor flags
_AVAILABLE_NOW = 1 << 7  # of a packed ring's descriptor, in the first round
_FIRST_ROUND = 1 << 15  # of a packed ring's base

USER = 0x7F0000000000  # where the front-end says that its memory lies
SIZE = 256  # of each ring
MEMORY = 1 << 20
_DESCRIPTORS, _AVAILABLE, _USED, _RING = 0, 0x2000, 0x3000, 0x8000
BUFFERS = 0x40000
_HEADER = struct.Struct("<III")
_DESCRIPTOR = struct.Struct("<QIHH")


def message(request, body=b"", flags=1, size=None):
    return _HEADER.pack(request, flags, len(body) if size is None else size) + body


def number(request, value):
    return message(request, struct.pack("<Q", value))


def vring(request, index, value):
    return message(request, struct.pack("<II", index, value))


def region(guest=0, size=MEMORY, user=USER, offset=0):
    return struct.pack("<QQQQ", guest, size, user, offset)


def mem_table(*regions):
    return message(SET_MEM_TABLE, struct.pack("<II", len(regions), 0) + b"".join(regions))


def vring_addr(index, base=None, flags=0):
    start = USER + index * _RING if base is None else base
    places = [(start + part) % 2**64 for part in (_DESCRIPTORS, _USED, _AVAILABLE)]
    return message(SET_VRING_ADDR, struct.pack("<IIQQQQ", index, flags, *places, 0))


class VhostClient:
    """One connection with memory for two split rings: 0 the receive, 1 the transmit ring."""

    features = VERSION_1 | PROTOCOL_FEATURES
    base = 0

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.fd = memfd(MEMORY, seals=0)
        self.memory = mmap.mmap(self.fd, MEMORY)
        self.kicks = [os.eventfd(0) for _ in range(2)]
        self.calls = [os.eventfd(0) for _ in range(2)]

    def open(self):
        """Until it is taken: a port in quarantine hangs up on who comes."""
        wait_for(self._taken, 10, "the port to take a front-end")
        return self

    def _taken(self):
        self.socket.close()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        try:
            self.socket.connect(self.path)
            self.send(message(GET_FEATURES))
            return self.reply()
        except OSError:
            return False

    def send(self, raw, fds=()):
        self.socket.sendmsg([raw], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                            if fds else [])

    def reply(self):
        """The payload of the next message; b"" when weir hung up."""
        header = self.socket.recv(_HEADER.size, socket.MSG_WAITALL)
        return header and self.socket.recv(_HEADER.unpack(header)[2], socket.MSG_WAITALL)

    def hung_up(self):
        try:
            return self.reply() == b""
        except ConnectionError:
            return True

    def say_features(self):
        self.send(message(SET_OWNER))
        self.send(number(SET_FEATURES, self.features))

    def say_memory(self):
        self.send(mem_table(region()), [self.fd])

    def say_ring(self, index, base=None, size=SIZE):
        self.send(vring(SET_VRING_NUM, index, size))
        self.send(vring(SET_VRING_BASE, index, self.base))
        self.send(vring_addr(index, base))
        self.send(number(SET_VRING_KICK, index), [self.kicks[index]])
        self.send(number(SET_VRING_CALL, index), [self.calls[index]])
        self.send(vring(SET_VRING_ENABLE, index, 1))

    def connect(self):
        """All of it, in the usual order."""
        self.open()
        self.say_features()
        self.say_memory()
        self.say_ring(0)
        self.say_ring(1)
        return self

    def describe(self, ring, slot, address, length, flags=0, following=0):
        at = ring * _RING + _DESCRIPTORS + slot * _DESCRIPTOR.size
        self.memory[at:at + _DESCRIPTOR.size] = _DESCRIPTOR.pack(address, length, flags, following)

    def offer(self, ring, *heads, index=None):
        """Makes chains available and moves the index behind them, or to `index`."""
        at = ring * _RING + _AVAILABLE
        for place, head in enumerate(heads):
            self.memory[at + 4 + 2 * place:at + 6 + 2 * place] = struct.pack("<H", head)
        new = len(heads) if index is None else index
        self.memory[at + 2:at + 4] = struct.pack("<H", new)
        os.eventfd_write(self.kicks[ring], 1)

    def used(self, ring):
        """Chains that weir gave back so far."""
        at = ring * _RING + _USED
        return struct.unpack("<H", self.memory[at + 2:at + 4])[0]

    def called(self, ring, seconds=5):
        return bool(select.select([self.calls[ring]], [], [], seconds)[0])

    def close(self):
        self.socket.close()
        self.memory.close()
        for fd in (self.fd, *self.kicks, *self.calls):
            os.close(fd)


class PackedClient(VhostClient):
    """The same with packed rings, of which it uses the first round alone."""

    features = VhostClient.features | PACKED
    base = _FIRST_ROUND

    def describe(self, ring, slot, address, length, flags=0, following=0):
        at = ring * _RING + _DESCRIPTORS + slot * _DESCRIPTOR.size
        self.memory[at:at + _DESCRIPTOR.size] = _DESCRIPTOR.pack(address, length, slot, flags)

    def offer(self, ring, *heads, index=None):
        """Makes what was described at these slots available."""
        for head in heads:
            at = ring * _RING + _DESCRIPTORS + head * _DESCRIPTOR.size + 14
            flags = struct.unpack("<H", self.memory[at:at + 2])[0] | _AVAILABLE_NOW
            self.memory[at:at + 2] = struct.pack("<H", flags)
        os.eventfd_write(self.kicks[ring], 1)
