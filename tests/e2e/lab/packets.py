"""Frames in and out of a pod's interface, and their checksums.

A captured packet may have a checksum that is not computed yet: between two kernel pods
weir passes the sender's offload on, and the kernel says so in the packet's auxiliary
data. Then the field must hold the pseudo-header's sum; else the whole checksum.
"""

import select
import socket
import struct
import time

from scapy.layers.inet import ICMP, IP, TCP, UDP, in4_chksum
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, in6_chksum
from scapy.layers.l2 import Ether
from scapy.utils import checksum

_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_AUXDATA = 8
_PACKET_IGNORE_OUTGOING = 23
_TP_STATUS_CSUMNOTREADY = 1 << 3
_MAX_FRAME = 65535 + 64


class Frame:
    """One received frame: scapy's view, its bytes, and whether L4 is still unsummed."""

    def __init__(self, raw, partial):
        self.raw = raw
        self.partial = partial
        self.ether = Ether(raw)

    def __contains__(self, layer):
        return layer in self.ether

    def __getitem__(self, layer):
        return self.ether[layer]


class PacketSocket:
    """A raw socket on a pod's interface. Use as a context manager."""

    def __init__(self, pod, incoming_only=True):
        with pod.netns.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            self.socket.bind((pod.ifname, _ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self.socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        if incoming_only:
            self.socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)

    def send(self, frame):
        self.socket.send(bytes(frame))

    def next(self, deadline):
        """The next frame, or None when the deadline has passed."""
        left = max(0, deadline - time.monotonic())
        if not select.select([self.socket], [], [], left)[0]:
            return None
        raw, extra, _, _ = self.socket.recvmsg(_MAX_FRAME, socket.CMSG_SPACE(20))
        status = 0
        for level, kind, data in extra:
            if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
                status = struct.unpack_from("I", data)[0]
        return Frame(raw, bool(status & _TP_STATUS_CSUMNOTREADY))

    def wait(self, wanted, seconds=3):
        """The first frame for which wanted(frame) holds; None when none came in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (frame := self.next(deadline)) is not None:
            if wanted(frame):
                return frame
        return None

    def drain(self):
        """What has arrived so far."""
        frames = []
        while (frame := self.next(time.monotonic())) is not None:
            frames.append(frame)
        return frames

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def checksum_fault(frame):
    """None when the frame's checksums are right, else what is wrong."""
    if IP in frame:
        ip = frame[IP]
        if checksum(bytes(ip)[: ip.ihl * 4]) != 0:
            return "IPv4 header checksum"
        return _l4_fault(frame, ip, in4_chksum)
    if IPv6 in frame:
        return _l4_fault(frame, frame[IPv6], lambda proto, ip, data: in6_chksum(proto, ip, data))
    return None


def _l4_fault(frame, ip, pseudo):
    for layer, protocol in ((TCP, 6), (UDP, 17)):
        if layer not in frame:
            continue
        data = bytes(frame[layer])[: _l4_length(ip)]
        offset = 16 if layer is TCP else 6
        value = struct.unpack_from("!H", data, offset)[0]
        if frame.partial:
            # Sum of the pseudo-header alone, not complemented.
            expected = pseudo(protocol, ip, bytes(len(data))) ^ 0xFFFF
        elif layer is UDP and value == 0 and IP in frame:
            return None
        else:
            cleared = data[:offset] + b"\0\0" + data[offset + 2 :]
            expected = pseudo(protocol, ip, cleared)
            if layer is UDP:
                expected = expected or 0xFFFF  # RFC 768: 0 means no checksum
        if value != expected:
            kind = "partial" if frame.partial else "whole"
            return f"{layer.__name__} checksum {value:#06x}, {kind} sum is {expected:#06x}"
    if ICMP in frame and checksum(bytes(frame[ICMP])[: _l4_length(ip)]) != 0:
        return "ICMP checksum"
    return _icmp6_fault(frame, ip)


def _icmp6_fault(frame, ip):
    for layer in (ICMPv6EchoRequest, ICMPv6EchoReply):
        if layer in frame:
            data = bytes(frame[layer])[: _l4_length(ip)]
            if in6_chksum(58, ip, data) not in (0, 0xFFFF):
                return "ICMPv6 checksum"
    return None


def _l4_length(ip):
    return ip.len - ip.ihl * 4 if ip.version == 4 else ip.plen
