"""dpdk-testpmd as the DPDK program in a memif or vhost-user pod."""

import os
import re
import subprocess

from .console import Console
from .netns import unique
from .run import stop

_PROMPT = "testpmd> "


def device_of(pod, number, role="client", queues=1):
    """What makes a pod's port a device of DPDK, the `number`th of its kind."""
    if pod.port == "memif":
        how = f"net_memif{number},role={role},socket={pod.socket_path},socket-abstract=no"
    else:
        serves = int(role == "server")
        how = f"net_virtio_user{number},path={pod.socket_path},server={serves},queues={queues}"
    return f"{how},mac={pod.mac}"


class Testpmd:
    """One testpmd on the socket of a pod's port. Runs in the pod's namespace.

    `vdevs`: more devices; in mode "io" each two that follow each other are a pair, the first
    being the pod's port.
    `start`: forwards at once; else after command("start").
    `role`: of testpmd; a vhost-user "server" makes the socket as well.
    `device`: more of the device's arguments; `queues`: of each direction.
    `eal`, `options`: more arguments, for DPDK and for testpmd.
    """

    __test__ = False  # not a test, whatever pytest makes of the name

    def __init__(self, pod, mode="icmpecho", vdevs=(), start=True, role="client", device="",
                 queues=1, eal=("--no-huge", "-m", "128"), options=()):
        self.prefix = unique("testpmd")
        self.role = role
        self.pod = pod
        # The dataplane's worker takes the last one, unless told otherwise.
        core = min(os.sched_getaffinity(0))
        port = f"--vdev={device_of(pod, 0, role, queues)}{device and ',' + device}"
        command = [
            # Both lcores on one core: it also runs where there is only one.
            *("stdbuf", "-oL", "nice", "-n", "5", "dpdk-testpmd", f"--lcores=0@{core},1@{core}"),
            *("--no-pci", "--no-shconf", "--no-telemetry", *eal),
            *(f"--file-prefix={self.prefix}", port, *[f"--vdev={vdev}" for vdev in vdevs]),
            *("--", "-i", "--nb-cores=1", "--total-num-mbufs=8192", f"--forward-mode={mode}"),
            "--no-flush-rx",  # else it throws away what waits when it starts
            *(f"--rxq={queues}", f"--txq={queues}", *options),
        ]
        self.process = pod.netns.start(*command, stdin=subprocess.PIPE)
        self.console = Console(self.process, "testpmd")
        try:
            self.console.wait(_PROMPT)
            if start:
                self.command("start")
        except BaseException:
            self.close()
            raise

    def command(self, text):
        """Types one command; returns what it printed up to the next prompt."""
        start = self.console.type(text)
        # The terminal echoes the command behind the old prompt; the new one follows.
        self.console.wait(_PROMPT, start)
        return self.console.output[start:]

    def rx_packets(self, port):
        """Packets that one of its ports has received."""
        return int(re.search(r"RX-packets: (\d+)", self.command(f"show port stats {port}"))[1])

    def queue_packets(self, port, direction):
        """Packets that one of its ports has received ("rx") or sent ("tx"), by queue."""
        output = self.command(f"show port xstats {port}")
        found = dict(re.findall(rf"{direction}_q(\d+)_packets: (\d+)", output))
        return [int(found[queue]) for queue in sorted(found, key=int)]

    def close(self):
        """Leaves in order, so that captures are written out."""
        if self.role == "server" and self.pod.port == "memif":
            self.process.kill()  # DPDK 22.11's memif server does not come out of close()
        if self.process.poll() is None:
            try:
                self.console.type("quit")
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                pass
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        self.console.reader.join(10)
        stop(self.process)
        self._remove_runtime_directory()

    def _remove_runtime_directory(self):
        """EAL leaves an empty directory behind."""
        for path in (f"/run/dpdk/{self.prefix}", "/run/dpdk"):
            try:
                os.rmdir(path)
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
