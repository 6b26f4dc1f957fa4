#!/usr/bin/python3
"""Writes the seeds in corpus/: inputs that reach what random bytes would take long to find.

Each seed is put together from the records that its target reads (see the top of
<target>.cpp); the file's name says what it does. Run it after a change of those records:
tests/fuzz/make_corpus.py. What a fuzzer found is named by a hash and stays.
"""

import json
import socket
import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"

# ---- frames ------------------------------------------------------------------------

GATEWAY = bytes.fromhex("027765697201")
POD_A = bytes.fromhex("02000000000a")


def total(data):
    data += b"\0" * (len(data) % 2)
    value = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while value >> 16:
        value = (value >> 16) + (value & 0xFFFF)
    return value


def ether(kind, payload, tag=b""):
    return GATEWAY + POD_A + tag + struct.pack("!H", kind) + payload


def ip4(payload, target="10.1.0.3", protocol=17, ttl=64, fragment=0, options=b""):
    words = 5 + len(options) // 4
    source, destination = (bytes(map(int, a.split("."))) for a in ("10.1.0.2", target))
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(payload), 0x1234, fragment,
                       ttl, protocol, 0) + source + destination + options
    return head[:10] + struct.pack("!H", 0xFFFF - total(head)) + head[12:] + payload


def ip6(payload, last="3", following=17, hops=64):
    source = bytes.fromhex("fd" + "00" * 14 + "02")
    target = bytes.fromhex("fd" + "00" * 14 + f"{int(last, 16):02x}")
    return struct.pack("!IHBB", 6 << 28, len(payload), following, hops) + source + target + payload


def udp(payload=b"0123456789", checksum=0):
    return struct.pack("!HHHH", 4000, 5000, 8 + len(payload), checksum) + payload


def tcp(payload=b"0123456789", checksum=0, options=b"", sequence=1000):
    words = 5 + len(options) // 4
    return struct.pack("!HHIIBBHHH", 4000, 5000, sequence, 0, words << 4, 0x19, 1000, checksum,
                       0) + options + payload


def icmp(kind, payload=b"\0\1\0\2echo"):
    body = bytes((kind, 0, 0, 0)) + payload
    return body[:2] + struct.pack("!H", 0xFFFF - total(body)) + body[4:]


def pseudo4(length, protocol):
    return total(bytes((10, 1, 0, 2, 10, 1, 0, 3, 0, protocol)) + struct.pack("!H", length))


PARTIAL, OFFLOAD_PORT, BODY_CHANGES = 1, 2, 4
ADDRESSES, LENGTHS, CHECKSUM = 1, 2, 4


def packet(frame, flags=0, repairs=ADDRESSES | CHECKSUM, port=0, gso=0, mss=0, start=0, field=0,
           piece=100, padding=0):
    return struct.pack("<BBBBHHHHHH", flags, repairs, port, gso, mss, start, field, piece, padding,
                       len(frame)) + frame


def vector(*packets):
    return bytes((len(packets) - 1,)) + b"".join(packets)


def pipeline():
    long_tcp = dict(flags=PARTIAL, gso=1, mss=1000, start=34, field=16, padding=9000,
                    repairs=ADDRESSES | LENGTHS | CHECKSUM)
    yield "udp4", vector(packet(ether(0x800, ip4(udp()))))
    yield "udp6", vector(packet(ether(0x86DD, ip6(udp(checksum=1)))))
    yield "echo_gateway4", vector(packet(ether(0x800, ip4(icmp(8), "10.6.0.1", 1))))
    yield "expired4", vector(packet(ether(0x800, ip4(udp(), ttl=1))))
    yield "expired6", vector(packet(ether(0x86DD, ip6(udp(checksum=1), hops=1))))
    yield "port_unreachable", vector(packet(ether(0x800, ip4(udp(), "10.6.0.1"))))
    yield "unreachable_route", vector(packet(ether(0x800, ip4(udp(), "10.8.0.1"))))
    yield "too_big_dont_fragment", vector(
        packet(ether(0x800, ip4(udp(), fragment=0x4000)), repairs=7, padding=1450))
    yield "fragmented", vector(packet(ether(0x800, ip4(udp())), repairs=7, padding=4000, piece=7))
    yield "fragment_cut_again", vector(
        packet(ether(0x800, ip4(udp(), fragment=0x2000 | 100)), repairs=7, padding=1996))
    yield "options_copied", vector(packet(
        ether(0x800, ip4(udp(), options=bytes((0x94, 4, 0, 0, 7, 4, 0, 0)))), repairs=7,
        padding=2000))
    yield "partial_udp4", vector(packet(
        ether(0x800, ip4(udp(checksum=pseudo4(18, 17)))), PARTIAL, start=34, field=6))
    yield "segments4", vector(packet(
        ether(0x800, ip4(tcp(checksum=pseudo4(9030, 6)), protocol=6)), **long_tcp))
    yield "segments6", vector(packet(
        ether(0x86DD, ip6(tcp(), following=6)), PARTIAL, 3, gso=2, mss=500, start=54, field=16,
        padding=30000))
    yield "sequence_wraps", vector(packet(
        ether(0x800, ip4(tcp(sequence=0xFFFFFFF0), protocol=6)), **long_tcp))
    yield "segments_kept", vector(packet(
        ether(0x800, ip4(tcp(), protocol=6)), **(long_tcp | {"flags": PARTIAL | OFFLOAD_PORT})))
    yield "body_changes", vector(packet(
        ether(0x800, ip4(tcp(), protocol=6)), **(long_tcp | {"flags": PARTIAL | BODY_CHANGES})))
    yield "priority_tag", vector(packet(
        ether(0x800, ip4(udp()), b"\x81\0\xe0\0"), repairs=ADDRESSES))
    yield "extension_chain", vector(packet(ether(0x86DD, ip6(
        bytes((60,)) + b"\0\1\4\0\0\0\0" + bytes((17,)) + b"\0\1\4\0\0\0\0" + udp(), following=0))))
    yield "fragment6", vector(packet(ether(0x86DD, ip6(
        bytes((17, 0, 0, 1, 0, 0, 0, 9)) + udp(b"x" * 8), following=44))))
    yield "arp_request", vector(packet(ether(
        0x806, bytes.fromhex("0001080006040001") + POD_A + bytes((10, 1, 0, 2)) + b"\0" * 6 +
        bytes((10, 1, 0, 1)))))
    yield "four_at_once", vector(*[packet(ether(0x800, ip4(udp(), ttl=1 + i))) for i in range(4)])
    yield "from_the_host", vector(packet(ether(0x800, ip4(udp())), port=2))
    yield from services()


# The dataplane has connections from port 4000 to port 80 of these (tests/dataplane/services.h).
VIP4, VIP6 = "10.96.0.1", bytes.fromhex("fd000096" + "00" * 11 + "01")


def ports(l4, source, destination):
    return struct.pack("!HH", source, destination) + l4[4:]


def from_b(packet4):
    return packet4[:12] + bytes((10, 1, 0, 3)) + bytes((10, 1, 0, 2)) + packet4[20:]


def to_vip6(packet6):
    return packet6[:24] + VIP6 + packet6[40:]


def services():
    request, reply = ports(udp(checksum=1), 4000, 80), ports(udp(checksum=1), 8080, 4000)
    yield "service_hit", vector(packet(ether(0x800, ip4(request, VIP4))))
    yield "service_hit6", vector(packet(ether(0x86DD, to_vip6(ip6(request)))))
    yield "service_opens", vector(packet(ether(0x800, ip4(ports(udp(), 4001, 80), VIP4))))
    yield "service_tcp", vector(packet(ether(0x800, ip4(ports(tcp(), 4000, 80), VIP4, 6))))
    yield "service_hairpin", vector(packet(ether(0x800, ip4(ports(udp(), 4000, 83), VIP4))))
    yield "service_refuses", vector(packet(ether(0x800, ip4(ports(udp(), 4000, 81), VIP4))))
    yield "service_expires", vector(packet(ether(0x800, ip4(request, VIP4, ttl=1))))
    yield "service_echo", vector(packet(ether(0x800, ip4(icmp(8), VIP4, 1))))
    yield "service_reply", vector(packet(ether(0x800, from_b(ip4(reply))), port=1))
    yield "service_fragments", vector(
        packet(ether(0x800, ip4(ports(udp(b"x" * 8), 4000, 80), VIP4, fragment=0x2000))),
        packet(ether(0x800, ip4(b"y" * 16, VIP4, fragment=2))))
    about = ip4(ports(udp(), 4000, 8080))
    yield "service_error", vector(
        packet(ether(0x800, from_b(ip4(icmp(3, b"\0\0\0\0" + about), protocol=1))), port=1))
    yield "service_partial", vector(packet(
        ether(0x800, ip4(ports(udp(checksum=0x1234), 4000, 80), VIP4)), PARTIAL, start=34, field=6))


# ---- memif -------------------------------------------------------------------------

COOKIE = 0x3E31F20


def descriptor(length, offset, flags=0, region=0):
    return struct.pack("<HHIII", flags, region, length, offset, 0)


def memif_ring():
    def layout(regions=1, rings=0, log2=0, flags=0, offsets=(0, 0, 0, 0)):
        return bytes((regions - 1, rings, log2, flags, *offsets))

    def put(ring, slot, what):
        return bytes((1, ring, slot)) + what

    def move(ring, count):
        return bytes((2, ring, count))

    receive = b"\4"

    def send(*lengths):
        return bytes((5, len(lengths) - 1)) + b"".join(struct.pack("<H", n - 1) for n in lengths)

    def offer(length, region=0):
        return b"\6" + struct.pack("<HB", length - 1, region)

    plain = put(0, 0, descriptor(60, 8000)) + move(0, 1) + receive
    yield "one_frame", layout() + plain
    yield "chain", layout() + b"".join(
        put(0, i, descriptor(100 + i, 4096 + i * 200, int(i < 3))) for i in range(4)
    ) + move(0, 4) + receive
    yield "longest_frame", layout() + b"".join(
        put(0, i, descriptor(4096, 8192, int(i < 15))) for i in range(16)) + move(0, 16) + receive
    yield "frame_too_long", layout() + b"".join(
        put(0, i, descriptor(4100, 8192, int(i < 15))) for i in range(16)) + move(0, 16) + receive
    yield "chain_of_17", layout() + b"".join(
        put(0, i, descriptor(8, 8192, 1)) for i in range(17)) + move(0, 17) + receive
    yield "chain_beyond_head", layout() + put(0, 0, descriptor(60, 8192, 1)) + move(0, 1) + receive
    yield "length_zero", layout() + move(0, 1) + receive
    yield "unknown_region", layout(2) + put(0, 0, descriptor(60, 0, 0, 2)) + move(0, 1) + receive
    yield "sum_overflows", layout() + put(
        0, 0, descriptor(0xFFFFFFFF, 0xFFFFFFFF)) + move(0, 1) + receive
    yield "head_jumps", layout() + b"\3\0" + struct.pack("<H", 0x8001) + receive
    yield "four_queues", layout(3, 2, 1) + b"".join(
        put(q, 0, descriptor(64 + q, 9000, 0, 1)) + move(q, 1) for q in range(3)) + receive
    yield "send", layout() + offer(2048) + send(60, 1500, 9000) + receive
    yield "send_small_buffers", layout() + offer(64) + send(60, 1500) + offer(64) + send(900)
    yield "send_ring_full", layout() + offer(128) + send(*[2000] * 4) + send(*[2000] * 4)
    yield "send_empty_buffer", layout() + move(1, 4) + send(60)
    yield "rings_over_each_other", layout(1, 1, 0, 1, (0, 2, 4, 6)) + offer(256) + send(60) + plain
    yield "rings_apart", layout(2, 1) + plain + offer(500, 1) + send(60, 700) + plain
    yield "sleeps", layout() + b"\7" + plain + b"\7\x08" + plain


def memif_race():
    anywhere, receive, send = range(3)

    def word(where, at, value):
        return struct.pack("<BHQ", where, at, value & (1 << 64) - 1)

    def slot(ring, number, half, *values):
        """One half of a descriptor: flags, region and length, or the offset."""
        return b"".join(word(ring, 2 * number + half, value) for value in values)

    whole, far, long = 1 << 16 | 400 << 32, 0x7FFF0000, 1 << 16 | 0xFFFFFF00 << 32
    yield "nothing_changes", b""
    yield "offset", slot(receive, 3, 1, 1200, 1200, 1200, far)
    yield "length", slot(receive, 3, 0, whole, whole, whole, long)
    yield "region", slot(receive, 3, 0, whole, whole, whole, whole ^ 9 << 16)
    yield "next", slot(receive, 3, 0, whole, whole | 1)
    yield "every_offset", b"".join(
        slot(receive, i, 1, 400 * i, 400 * i, 400 * i, far) for i in range(32))
    yield "send_offset", slot(send, 3, 1, 4864, 4864, 4864, far)
    yield "send_length", slot(send, 3, 0, 256 << 32, 256 << 32, 0xFFFFFF00 << 32)
    yield "heads", word(anywhere, 0, COOKIE | 40 << 48) + word(anywhere, 256, COOKIE | 40 << 48)
    yield "bodies", b"".join(word(anywhere, 16 * i + 1, 0x0101010101010101 * i) for i in range(64))


def memif_handshake():
    sealed, event, unsealed, short, read_only, pipe, unix, plain = range(8)

    def init(secret=0, mode=0, fds=()):
        return bytes((1, secret, mode, len(fds), *fds))

    def region(index=0, size=None, fds=(sealed,)):
        whole = b"\0" if size is None else b"\1" + struct.pack("<Q", size)
        return bytes((2, index)) + whole + bytes((len(fds), *fds))

    def ring(flags, offset, index=0, log2=5, memory=0, fds=(event,), private=0):
        return b"\3" + struct.pack("<HHHIBH", flags, index, memory, offset, log2,
                                   private) + bytes((len(fds), *fds))

    def write(at, data):
        return b"\6" + struct.pack("<HB", at, len(data) - 1) + data

    connect, work = b"\4", b"\7\1"
    options = b"\0\5\0"
    cookies = write(0, struct.pack("<IHH", COOKIE, 0, 0)) + write(
        4096, struct.pack("<IHH", COOKIE, 0, 0))
    begin = options + cookies + init() + region()
    whole = begin + ring(1, 0) + ring(0, 4096)
    yield "connected", whole + connect + work
    yield "traffic", whole + connect + write(128, descriptor(60, 9000)) + write(
        4096 + 128, descriptor(2048, 20000)) + write(6, b"\1\0") + write(4102, b"\1\0") + work
    yield "quarantined", whole + connect + write(6, b"\xff\xff") + work + init()
    yield "four_queues", b"\3\5\0" + cookies + init() + region() + b"".join(
        ring(1, 0, i) + ring(0, 4096, i) for i in range(4)) + connect + work
    yield "secret", b"\0\5\1" + init(1) + region()
    yield "wrong_secret", b"\0\5\1" + init(0)
    yield "unsealed_for_a_trusted_client", b"\0\5\2" + init() + region(fds=(unsealed,))
    for name, kind in (("unsealed", unsealed), ("short", short), ("read_only", read_only),
                       ("pipe", pipe), ("socket", unix), ("standard_input", plain)):
        yield f"region_of_{name}", options + init() + region(fds=(kind,))
    yield "no_descriptor", options + init() + region(fds=())
    yield "surplus_descriptors", options + init() + region(fds=(sealed, sealed, pipe))
    yield "region_of_2_to_63_bytes", options + init() + region(size=1 << 63)
    yield "two_regions", options + init() + region() + region(1) + ring(1, 0, memory=1)
    yield "huge_ring", begin + ring(1, 0, log2=64)
    yield "ring_outside", begin + ring(1, 65536 - 64)
    yield "ring_on_a_pipe", begin + ring(1, 0, fds=(pipe,))
    yield "no_cookie", options + init() + region() + ring(1, 8192) + ring(0, 16384) + connect
    yield "connect_first", options + connect + init()
    yield "short_message", options + b"\5" + bytes((2, 3, 0))
    yield "unknown_type", options + b"\0" + struct.pack("<H", 99) + b"\0\0" + init()
    yield "disconnect", whole + connect + b"\0" + struct.pack("<H", 8) + b"\5\1\0\0\0x\0" + init()


# ---- vhost-user --------------------------------------------------------------------

NEXT, WRITE, INDIRECT = 1, 2, 4
BUFFERS = 0x40000
USER = 0x7F0000000000


def vhost_ring():
    packed, mergeable, offload, legacy = 1, 2, 4, 8

    def options(flags=mergeable, size=31):
        return bytes((flags, size))

    def offer(ring, *buffers, number=0):
        """The chain takes descriptors from `number` on."""
        return bytes((ring, number, len(buffers) - 1)) + b"".join(
            struct.pack("<IIH", *(buffer + (0,) * (3 - len(buffer)))) for buffer in buffers)

    def write(at, data):
        return b"\2" + struct.pack("<IB", at, len(data) - 1) + data

    transmit, receive, work = 0, 1, b"\3"
    kinds = (("split", 0), ("packed", packed))
    for name, flags in kinds:
        start = options(flags | mergeable)
        one = offer(transmit, (BUFFERS, 112))
        yield f"{name}_frame", start + one + work
        yield f"{name}_frame_forwarded", start + offer(
            receive, (BUFFERS + 8192, 2048, WRITE)) + one + work
        yield f"{name}_chain", start + offer(
            transmit, (BUFFERS, 12), (BUFFERS + 12, 100), (BUFFERS + 112, 1400)) + work
        yield f"{name}_longest_frame", start + offer(transmit, (BUFFERS, 65565)) + work
        yield f"{name}_spread", start + b"".join(
            offer(receive, (BUFFERS + 4096 * i, 256, WRITE), number=i) for i in range(8)
        ) + offer(transmit, (BUFFERS, 1500)) + work
        yield f"{name}_not_mergeable", options(flags) + offer(
            receive, (BUFFERS, 256, WRITE)) + offer(transmit, (BUFFERS, 1500)) + work
        yield f"{name}_segments", options(flags | mergeable | offload) + offer(
            receive, (BUFFERS + 65536, 65536, WRITE)) + one + work
        yield f"{name}_outside", start + offer(transmit, (1 << 20, 100)) + work
        yield f"{name}_direction", start + offer(transmit, (BUFFERS, 100, WRITE)) + work
        yield f"{name}_chain_of_33", options(flags | mergeable, 63) + offer(
            transmit, *[(BUFFERS, 64)] * 33) + work
        table = struct.pack("<QIHH", BUFFERS, 512, 0, 0)
        yield f"{name}_table", start + write(0x10000, table) + offer(
            transmit, (0x10000, 16, INDIRECT)) + work
        yield f"{name}_rounds", options(flags, 1) + b"".join(
            offer(transmit, (BUFFERS, 100), number=i % 2) + work for i in range(6))
    yield "legacy_header", options(legacy) + offer(transmit, (BUFFERS, 100)) + work
    yield "split_index_jumps", options() + write(0x8000 + 0x2002, b"\xff\xff") + work
    yield "split_head_beyond", options() + write(
        0x8000 + 0x2002, b"\1\0" + struct.pack("<H", 32)) + work


def vhost_message():
    memory, event, pipe = 0, 1, 2

    def said(request, body=b"", files=(), size=None, flags=0):
        kinds = sum(kind << 2 * i for i, kind in enumerate(files[:4]))
        return bytes((request, flags, len(body) if size is None else size, len(files), kinds,
                      len(body))) + body

    def number(request, value, **more):
        return said(request, struct.pack("<Q", value), **more)

    def vring(request, index, value):
        return said(request, struct.pack("<II", index, value))

    def table(*regions, files=(memory,)):
        return said(5, struct.pack("<II", len(regions), 0) + b"".join(
            struct.pack("<QQQQ", *region) for region in regions), files=files)

    def ring(index, base=None, size=32):
        user = USER + 0x8000 * index if base is None else base
        places = struct.pack("<IIQQQQ", index, 0, user, user + 0x3000, user + 0x2000, 0)
        return (vring(8, index, size) + said(9, places) + vring(10, index, 0)
                + number(13, index, files=(event,)) + number(12, index, files=(event,))
                + vring(18, index, 1))

    one_pair, whole = b"\0", (0, 1 << 20, USER, 0)
    version_1, protocol, packed = 1 << 32, 1 << 30, 1 << 34
    start = one_pair + said(3) + number(2, version_1 | protocol) + table(whole)
    yield "split", start + ring(0) + ring(1)
    yield "packed", one_pair + number(2, version_1 | protocol | packed) + table(whole) + ring(
        0, size=33) + ring(1, size=33)
    yield "two_pairs", b"\1" + number(2, version_1 | protocol) + table(whole) + b"".join(
        ring(i) for i in range(4))
    yield "stops_and_goes_on", start + ring(0) + ring(1) + vring(11, 1, 0) + ring(1)
    yield "questions", one_pair + said(1) + said(15) + said(17) + number(16, 25) + number(
        2, version_1, flags=8)
    yield "two_regions", one_pair + number(2, version_1 | protocol) + table(
        (0, 1 << 19, USER, 0), (1 << 19, 1 << 19, USER + (1 << 19), 1 << 19),
        files=(memory, memory)) + ring(0) + ring(1)
    yield "region_on_a_pipe", one_pair + table(whole, files=(pipe,))
    yield "region_too_long", one_pair + table((0, 1 << 30, USER, 0))
    yield "region_wraps", one_pair + table((2**64 - 4096, 8192, USER, 0))
    yield "memory_changes", start + ring(0) + ring(1) + table((0, 4096, USER, 0))
    yield "ring_outside", start + ring(0, USER + (1 << 20) - 64) + ring(1)
    yield "ring_not_aligned", start + ring(0, USER + 1) + ring(1)
    yield "no_descriptor", start + number(12, 0)
    yield "odd_length", one_pair + said(2, b"1234") + said(2, bytes(16))


# ---- the dataplane's API -----------------------------------------------------------

FAMILY_IP4, FAMILY_IP6 = 4, 6  # dataplane/api/net.h

def api_frame():
    sized, raw, hang_up = 2, 1, 4

    def request(kind, body=b"", record=0, flags=sized, count=0, descriptors=0):
        return struct.pack("<BBHHBH", flags, kind, count, record, descriptors, len(body)) + body

    def address(text):
        """IpAddress: the family, then the address in network order in 16 bytes."""
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        number = FAMILY_IP6 if ":" in text else FAMILY_IP4
        return bytes((number, 0, 0, 0)) + socket.inet_pton(family, text).ljust(16, b"\0")

    def prefix(text, length):
        return address(text) + bytes((length, 0, 0, 0))

    def port(key, kind=2, name=b"a", lease=("10.1.0.2", "fd00::2"), mtu=1500):
        body = struct.pack("<QBBHI", key, kind, len(lease), mtu, 0) + POD_A + b"\0\0"
        body += b"ns/pod".ljust(64, b"\0") + b"eth0".ljust(16, b"\0")
        # The target puts its own directory over the first bytes.
        body += (b"/" * 80 + name).ljust(108, b"\0")
        body += address("10.1.0.1") + address("fd00::1")
        body += b"".join(address(one) for one in lease).ljust(8 * 20, b"\0")
        return body + struct.pack("<BBHIII24s4x", 10, 1, 2048, 0o660, 0, 0, b"secret")

    def port_set(*arguments, **more):
        body = port(*arguments, **more)
        return request(10, body, len(body))

    def route(text, length, kind, key=0, gateway=b""):
        head = prefix(text, length) + struct.pack("<B3xIQ", kind, 0, key)
        return head + gateway.ljust(24, b"\0")

    def routes(kind, *all_routes):
        return request(kind, b"".join(all_routes), len(all_routes[0]))

    lists = b"".join(request(kind) for kind in (2, 12, 22, 30, 31, 41))
    yield "lists", lists
    yield "unknown_request", request(99)
    yield "replay", request(3, struct.pack("<QII", 7, 0, 0), 16) + request(
        4, struct.pack("<QII", 7, 0, 0), 16)
    yield "generation_zero", request(3, b"\0" * 16, 16)
    yield "port", port_set(7) + lists + request(11, struct.pack("<Q", 7), 8)
    yield "port_twice", port_set(7) + port_set(7, mtu=1400) + port_set(8, name=b"b")
    yield "port_without_key", port_set(0)
    yield "port_kinds", b"".join(port_set(i + 1, kind=i) for i in range(6))
    yield "port_with_a_descriptor", request(10, port(3, 1), len(port(3, 1)), descriptors=1)
    yield "routes", port_set(7) + routes(
        20, route("10.2.0.0", 16, 3, 7), route("10.3.0.0", 16, 1), route("10.4.0.0", 16, 2)
    ) + lists + routes(21, route("10.3.0.0", 16, 0))
    yield "gateway_route", routes(
        20, route("fd00:5::", 32, 4, gateway=address("fd00::2"))) + port_set(7) + lists
    yield "lookup", port_set(7) + request(23, address("10.1.0.2") + b"\0" * 4, 24)
    yield "trace", request(40, struct.pack("<QII", 0, 10, 0), 16) + request(41)
    yield "count_beyond_the_body", request(20, b"\0" * 16, 64, 0, 4000)
    yield "size_zero", request(20, b"\0" * 16, 0, 0, 4)
    yield "many_short_records", request(11, bytes(2048), 1)
    yield "hang_up", request(12, flags=sized | hang_up) * 3
    yield "raw_wrong_version", request(0, struct.pack("<IHHHHIIiI", 0x72696577, 9, 1, 0, 0, 0, 1,
                                                      0, 0), flags=raw)
    yield "raw_short", request(0, b"weir", flags=raw)
    yield "descriptors_nobody_wants", request(2, descriptors=2)


# ---- documents ---------------------------------------------------------------------

def document(**keys):
    return json.dumps(keys).encode()


def cni_config():
    network, result, frame, arguments = range(4)
    add, delete, check, gc = range(4)
    config = {"cniVersion": "1.1.0", "name": "weir", "type": "weir-cni"}
    previous = {
        "interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/x", "mtu": 1500}],
        "ips": [{"interface": 0, "address": "10.0.0.5/24", "gateway": "10.0.0.1"}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1", "mtu": 1400, "priority": 7}],
        "dns": {"nameservers": ["1.1.1.1"], "search": ["x"], "options": ["y"], "domain": "z"},
    }
    runtime = {
        "portMappings": [{"hostPort": 80, "containerPort": 81, "protocol": "tcp", "hostIP": "::"}],
        "bandwidth": {"ingressRate": 1, "ingressBurst": 2, "egressRate": 3, "egressBurst": 4},
        "ips": ["10.0.0.5/24"], "mac": "02:00:00:00:00:01", "deviceID": "0000:00:01.0",
        "io.kubernetes.cri.pod-annotations": {"Name": "b"}, "ipRanges": [[{"subnet": "10.0.0.0/8"}]],
    }

    def of(kind, body, command=add):
        return bytes((kind, command)) + body

    yield "memif", of(network, document(
        **config, port="memif", mtu=9000, memif={"secret": "x", "ringSize": 1024, "queues": 2}))
    yield "runtime", of(network, document(**config, runtimeConfig=runtime))
    yield "previous", of(network, document(**config, prevResult=previous), check)
    yield "old_previous", of(network, document(
        cniVersion="0.2.0", name="weir", prevResult={"ip4": {"ip": "10.0.0.5/24"}}), delete)
    yield "valid_attachments", of(network, document(
        **config, **{"cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}]}), gc)
    yield "ipam", of(network, document(
        **config, ipam={"type": "host-local", "ranges": [[{"subnet": "10.0.0.0/24"}]]}))
    yield "doubled_keys", of(network, b'{"name":"a","NAME":"weir","cniVersion":"1.0.0","mtu":null}')
    yield "deep", of(network, b'{"name":"a","x":' + b"[" * 130 + b"]" * 130 + b"}")
    yield "escapes", of(network, b'{"name":"\\ud83d\\ude00\\u0000","type":"\xff"}')
    yield "numbers", of(network, document(**config, mtu=1e400) + b"-18446744073709551616")
    yield "result", bytes((result,)) + document(**previous)
    request = document(containerId="c", netns="/run/netns/x", ifname="eth0", args="IgnoreUnknown=1",
                       path="/opt/cni/bin", netnsOverride=False, config="{}")
    yield "frame", bytes((frame,)) + struct.pack("<4sHHI", b"WEIR", 1, 1, len(request)) + bytes(
        (add,)) + request
    yield "frame_too_long", bytes((frame,)) + struct.pack("<4sHHI", b"WEIR", 1, 1, 0xFFFFFFFF)
    yield "arguments", bytes((arguments,)) + b"IgnoreUnknown=1;IP=10.0.0.5;MAC=02:00:00:00:00:01"


def config_file():
    yield "empty", b"{}"
    yield "all_keys", document(
        dataplane={"workers": [1, 2], "hugepages": "required", "memory_mib": 512,
                   "log_level": "debug", "eal_args": ["--legacy-mem"]},
        control={"log_level": "off", "metrics": "[::1]:9470"},
        network={"name": "weir", "pod_cidrs": ["10.244.0.0/24", "fd00:10:244::/64"], "mtu": 9000,
                 "host_interface": "weir0", "socket_mode": "0660", "socket_group": "0"})
    yield "unknown_key", document(network={"mut": 1500})
    yield "misplaced_key", document(mtu=1500)
    yield "doubled_key", b'{"network":{"mtu":1500,"mtu":1501}}'
    yield "overlap", document(network={"pod_cidrs": ["10.0.0.0/8", "10.1.0.0/16"]})
    yield "host_bits", document(network={"pod_cidrs": ["10.244.0.1/24"]})
    yield "mtu_below_ip6", document(network={"mtu": 1000})
    yield "number_beyond_double", b'{"network":{"mtu":1e999}}'
    yield "deep", b"[" * 40
    yield "not_utf8", b'{"network":{"name":"\xff\xfe"}}'


TARGETS = (pipeline, memif_ring, memif_race, memif_handshake, vhost_ring, vhost_message, api_frame,
           cni_config, config_file)


def main():
    for target in TARGETS:
        folder = CORPUS / target.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in target():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
