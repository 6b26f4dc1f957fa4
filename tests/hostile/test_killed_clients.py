"""Clients that die under traffic, with a busy loop on the worker's core.

WEIR_HOSTILE_KILLS says how many; 10000 is the contract's number and takes some minutes.
"""

import os
import signal
import subprocess
import sys

from lab.run import wait_for
from probe import flood

KILLS = int(os.environ.get("WEIR_HOSTILE_KILLS", "100"))


class BusyLoop:
    """Takes half of the worker's core away, so that it is interrupted anywhere."""

    def __init__(self, node):
        core = str(node.ctl("worker", "show")[0]["core"])
        loop = [sys.executable, "-c", "while True: pass"]
        # A session of its own: the kernel shares a core out by sessions, so it takes from the
        # dataplane and not from the clients and probes of this one.
        self.process = subprocess.Popen(["taskset", "-c", core, *loop], start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def one_life(attack, number):
    """A client that sends and receives as fast as it can, until it is killed.

    False: it came too late for a handshake, which a busy machine may do to it."""
    program = attack.node.build / "tests/memif/memif_raw_client"
    client = subprocess.Popen([program, attack.pod.socket_path], stdout=subprocess.PIPE)
    try:
        before = attack.count("rx_packets") if number % 3 else None
        connected = client.stdout.readline() == b"connected\n"
        if connected and before is not None:  # after some frames; else at once
            wait_for(lambda: attack.count("rx_packets") > before + 100, 30, "frames")
    finally:
        client.send_signal(signal.SIGKILL)
        client.wait()
        client.stdout.close()
    return connected


def test_killed_under_traffic(attack, neighbours):
    stream = flood(neighbours.sending_pod, attack.pod.ip4)
    try:
        with BusyLoop(attack.node):
            for number in range(KILLS):
                wait_for(lambda number=number: one_life(attack, number), 60, "a connection")
    finally:
        stream.kill()
        stream.wait()
    attack.expect("down", "client is gone")
    attack.client().connect()
    attack.expect("up", "")
