"""A stream between two pods in which no loss can hide: each datagram is sent when the one
before it came back.

As a program, in the pods' namespaces:  probe.py echo PORT  and  probe.py send ADDRESS PORT.
The sender answers every line on its standard input with "sent lost", and ends with it.
probe.py flood ADDRESS PORT  sends without a pause until it is killed.
"""

import select
import socket
import struct
import subprocess
import sys
import time

_PORT = 7007
# A datagram that is not back after so long is lost, not late, even where a worker has to
# share its core with a busy loop.
_LOST_AFTER = 20.0
_PACE = 0.0005


def _echo(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("", port))
        print("listening", flush=True)
        while True:
            data, peer = udp.recvfrom(2048)
            udp.sendto(data, peer)


def _returned(udp, number):
    """Whether datagram `number` came back; what belongs to earlier ones does not count."""
    deadline = time.monotonic() + _LOST_AFTER
    while (left := deadline - time.monotonic()) > 0:
        if select.select([udp], [], [], left)[0] and struct.unpack("!Q", udp.recv(64))[0] == number:
            return True
    return False


def _send(address, port):
    sent = lost = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect((address, port))
        while True:
            if select.select([sys.stdin], [], [], _PACE)[0]:
                if not sys.stdin.readline():
                    return
                print(sent, lost, flush=True)
            udp.send(struct.pack("!Q", sent))
            lost += not _returned(udp, sent)
            sent += 1


def _flood(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect((address, port))
        while True:
            for _ in range(32):
                udp.send(bytes(800))
            time.sleep(_PACE)


def flood(pod, address):
    """The program that floods `address` from a pod, running; kill it to end."""
    return pod.netns.start(sys.executable, __file__, "flood", address, _PORT,
                           stdout=subprocess.DEVNULL, stderr=None)


class Probe:
    """The stream as a test sees it. Started once, running until close()."""

    def __init__(self, sender, receiver):
        self.sending_pod = sender
        self.processes = []
        pipe = {"stdin": subprocess.PIPE, "stderr": None}
        echo = receiver.netns.start(sys.executable, __file__, "echo", _PORT, **pipe)
        self.processes.append(echo)
        assert echo.stdout.readline() == "listening\n"
        sender.ping(receiver.ip4)  # ARP and routes are there before anything is counted
        self.sender = sender.netns.start(sys.executable, __file__, "send", receiver.ip4, _PORT,
                                         **pipe)
        self.processes.append(self.sender)

    def counts(self):
        """(sent, lost) so far."""
        self.sender.stdin.write("\n")
        self.sender.stdin.flush()
        sent, lost = self.sender.stdout.readline().split()
        return int(sent), int(lost)

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


if __name__ == "__main__":
    role, *arguments, port = sys.argv[1:]
    {"echo": _echo, "send": _send, "flood": _flood}[role](*arguments, int(port))
