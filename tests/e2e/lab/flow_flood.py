"""Opens UDP flows as fast as it can from a pod's interface, each by one datagram.

Usage: flow_flood.py INTERFACE MAC SOURCE DESTINATION PORT SECONDS. Prints how many were sent."""

import socket
import struct
import sys
import time

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

GATEWAY = "02:77:65:69:72:01"
SOURCE_PORT = 14 + 20  # where it lies in the frame


def template(mac, source, destination, port):
    # Without a checksum (RFC 768), so that a port is all that differs.
    return bytearray(bytes(
        Ether(src=mac, dst=GATEWAY) / IP(src=source, dst=destination)
        / UDP(sport=1, dport=port, chksum=0) / b"x"))


def main():
    interface, mac, source, destination, port, seconds = sys.argv[1:]
    frame = template(mac, source, destination, int(port))
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((interface, 0))
    sent = 0
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        for _ in range(256):
            struct.pack_into("!H", frame, SOURCE_PORT, 1 + sent % 65535)
            raw.send(frame)
            sent += 1
    print(sent)


main()
