"""Either end of a memif in plain Python, written after the protocol's description alone:
packets go in and out as bytes, in Ethernet or IP mode, over any queue."""

import ctypes
import fcntl
import mmap
import os
import select
import socket
import struct
import time

_COOKIE = 0x3E31F20
_VERSION = 0x0200
_ACK, _HELLO, _INIT, _REGION, _RING, _CONNECT, _CONNECTED, _DISCONNECT = range(1, 9)
_MODES = {"ethernet": 0, "ip": 1}
_TO_SERVER = 1  # flag of a ring that the client sends on
_NEXT = 1  # the packet goes on in the next descriptor
_MASKED = 1  # the ring's reader wants no interrupts
_HEADER = 128  # bytes of a ring's head, tail and flags
_DESCRIPTOR = struct.Struct("=HHIII")  # flags, region, length, offset, metadata
_F_ADD_SEALS, _F_SEAL_SHRINK = 1033, 2


class Disconnected(AssertionError):
    """The other end hung up; says why."""


class _Ring:
    """One ring in shared memory. `mine` and `theirs` are the offsets of the two indices."""

    def __init__(self, regions, region, offset, log2_size, event, client):
        self.regions, self.base, self.event = regions, regions[region], event
        self.offset, self.size = offset, 1 << log2_size
        head, tail = (self._index(6), self._index(64))
        self.mine, self.theirs = (head, tail) if client else (tail, head)
        self.flags = self._index(4)
        self.next = 0  # the first descriptor that was not used yet

    def _index(self, at):
        return ctypes.c_uint16.from_buffer(self.base, self.offset + at)

    def _at(self, slot):
        return self.offset + _HEADER + (slot % self.size) * _DESCRIPTOR.size

    def get(self, slot):
        return _DESCRIPTOR.unpack_from(self.base, self._at(slot))

    def put(self, slot, flags, region, length, offset):
        _DESCRIPTOR.pack_into(self.base, self._at(slot), flags, region, length, offset, 0)

    def advance(self, slots, by):
        self.next = (self.next + slots) % 65536
        self.mine.value = (self.mine.value + by) % 65536

    def read(self):
        """The bytes of the packet at `next`, and how many descriptors it takes."""
        packet, count, more = b"", 0, True
        while more:
            flags, region, length, offset, _ = self.get(self.next + count)
            packet += self.regions[region][offset : offset + length]
            more, count = flags & _NEXT, count + 1
        return packet, count

    def write(self, packet, capacity):
        """Copies a packet into buffers from `next` on; returns how many it took."""
        count = 0
        while packet:
            _, region, length, offset, _ = self.get(self.next + count)
            part, packet = packet[: capacity or length], packet[capacity or length :]
            self.regions[region][offset : offset + len(part)] = part
            self.put(self.next + count, _NEXT if packet else 0, region, len(part), offset)
            count += 1
        return count

    def kick(self):
        if not self.flags.value & _MASKED:
            os.eventfd_write(self.event, 1)


class _Peer:
    def __init__(self, mode):
        self.mode, self.socket = mode, None
        self.regions, self.tx, self.rx, self.fds = [], [], [], []
        self.name = self.interface = ""  # what the other end calls itself

    def _send(self, kind, body=b"", fds=()):
        message = struct.pack("=H", kind) + body
        socket.send_fds(self.socket, [message.ljust(128, b"\0")], fds)

    def _receive(self, *wanted):
        message, fds, _, _ = socket.recv_fds(self.socket, 128, 4)
        self.fds += fds
        if not message:
            raise Disconnected("the other end closed the socket")
        kind = struct.unpack_from("=H", message)[0]
        if kind == _DISCONNECT:
            raise Disconnected(_text(message[6:]))
        assert kind in wanted, f"message {kind} instead of {wanted}"
        return kind, message[2:], fds

    def send(self, packet, queue=0):
        self._put(self.tx[queue], bytes(packet))

    def receive(self, seconds=3, queue=None):
        """The next packet of any queue (or of one); None when there is none in time."""
        rings = self.rx if queue is None else [self.rx[queue]]
        deadline = time.monotonic() + seconds
        while True:
            for ring in rings:
                if self._waiting(ring):
                    return self._take(ring)
            left = deadline - time.monotonic()
            ready, _, _ = select.select([ring.event for ring in rings], [], [], max(left, 0))
            if not ready and left <= 0:
                return None
            for event in ready:
                os.eventfd_read(event)

    def _waiting(self, ring):
        return ring.theirs.value != ring.next

    def drain(self, queue=None):
        packets = []
        while (packet := self.receive(0, queue)) is not None:
            packets.append(packet)
        return packets

    def closed(self, seconds=5):
        """Waits until the other end hangs up; its reason."""
        self.socket.settimeout(seconds)
        try:
            self._receive()
        except Disconnected as end:
            return str(end)

    def close(self):
        self.socket.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class MemifClient(_Peer):
    """Lends its memory, as pods usually do."""

    def __init__(self, path, mode="ethernet", queues=1, log2_size=6, buffer=2048, name="python",
                 secret=""):
        super().__init__(mode)
        self.buffer, self.queues, self.log2_size = buffer, queues, log2_size
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(str(path))
        self.name = _text(self._receive(_HELLO)[1])
        self._ask(_INIT, struct.pack("=HIB24s32s", _VERSION, 0, _MODES[mode], secret.encode(),
                                     name.encode()))
        self._lend()
        self._send(_CONNECT, name.encode())
        self.interface = _text(self._receive(_CONNECTED)[1])

    def _ask(self, kind, body, fds=()):
        self._send(kind, body, fds)
        self._receive(_ACK)

    def _lend(self):
        size = 1 << self.log2_size
        ring_bytes = _HEADER + size * _DESCRIPTOR.size
        rings = 2 * self.queues
        total = rings * (ring_bytes + size * self.buffer)
        memory = os.memfd_create("memif-peer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.fds.append(memory)
        os.ftruncate(memory, total)
        fcntl.fcntl(memory, _F_ADD_SEALS, _F_SEAL_SHRINK)
        self.regions.append(mmap.mmap(memory, total))
        self._ask(_REGION, struct.pack("=HQ", 0, total), [memory])
        for i in range(rings):
            event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self.fds.append(event)
            struct.pack_into("=I", self.regions[0], i * ring_bytes, _COOKIE)
            ring = _Ring(self.regions, 0, i * ring_bytes, self.log2_size, event, True)
            for slot in range(size):
                ring.put(slot, 0, 0, self.buffer, rings * ring_bytes + (i * size + slot) * self.buffer)
            sends = i < self.queues
            (self.tx if sends else self.rx).append(ring)
            ring.mine.value = 0 if sends else size
            self._ask(_RING, struct.pack("=HHHIBH", _TO_SERVER if sends else 0, i % self.queues, 0,
                                         ring.offset, self.log2_size, 0), [event])

    def _put(self, ring, packet):
        used = (ring.next - ring.theirs.value) % 65536
        assert used + -(-len(packet) // self.buffer) <= ring.size, "the server takes no packets"
        count = ring.write(packet, self.buffer)
        ring.advance(count, count)
        ring.kick()

    def _take(self, ring):
        packet, count = ring.read()
        for slot in range(ring.next, ring.next + count):
            _, region, _, offset, _ = ring.get(slot)
            ring.put(slot, 0, region, self.buffer, offset)
        ring.advance(count, count)
        return packet


class MemifServer(_Peer):
    """Listens, and works in the memory of the client that comes."""

    def __init__(self, path, mode="ethernet", queues=1, name="python server", secret="",
                 log2_size=14):
        super().__init__(mode)
        self.queues, self.app, self.secret, self.log2_size = queues, name, secret, log2_size
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(10)

    def accept(self):
        """Waits for a client and goes through the handshake."""
        self.regions, self.tx, self.rx = [], [], []
        self.socket, _ = self.listener.accept()
        self.socket.settimeout(5)
        limit = self.queues - 1
        self._send(_HELLO, struct.pack("=32sHHHHHB", self.app.encode(), _VERSION, _VERSION, 255,
                                       limit, limit, self.log2_size))
        while True:
            kind, body, fds = self._receive(_INIT, _REGION, _RING, _CONNECT)
            if kind == _CONNECT:
                self.interface = _text(body)
                self._send(_CONNECTED, b"python0")
                return self
            self._handle(kind, body, fds)
            self._send(_ACK)

    def _handle(self, kind, body, fds):
        if kind == _INIT:
            version, _, mode, secret, name = struct.unpack_from("=HIB24s32s", body)
            assert (version, mode) == (_VERSION, _MODES[self.mode])
            assert _text(secret) == self.secret
            self.name = _text(name)
        elif kind == _REGION:
            self.regions.append(mmap.mmap(fds[0], struct.unpack_from("=HQ", body)[1]))
        else:
            flags, _, region, offset, log2_size, _ = struct.unpack_from("=HHHIBH", body)
            ring = _Ring(self.regions, region, offset, log2_size, fds[0], False)
            assert struct.unpack_from("=I", ring.base, offset)[0] == _COOKIE
            (self.rx if flags & _TO_SERVER else self.tx).append(ring)

    def _put(self, ring, packet):
        free = (ring.theirs.value - ring.next) % 65536
        assert free * ring.get(ring.next)[2] >= len(packet), "the client offers no buffers"
        count = ring.write(packet, None)
        ring.advance(count, count)
        ring.kick()

    def _take(self, ring):
        packet, count = ring.read()
        ring.advance(count, count)
        return packet

    def close(self):
        if self.socket:
            super().close()
        self.listener.close()
        os.unlink(self.path)


def _text(field):
    return field.split(b"\0")[0].decode()
