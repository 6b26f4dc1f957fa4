"""dpdk-testpmd as the DPDK program in a memif or vhost-user pod."""

import os
import re
import subprocess
import threading

from .netns import unique
from .run import stop, wait_for

_PROMPT = "testpmd> "


class Testpmd:
    """One testpmd on the socket of a pod's port. Runs in the pod's namespace.

    `vdevs`: more devices; in mode "io" the second is paired with the pod's port.
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
        port = (
            f"--vdev={self._device(pod, role, queues)},mac={pod.mac}{device and ',' + device}"
        )
        command = [
            # Both lcores on one core: it also runs where there is only one.
            *("stdbuf", "-oL", "nice", "-n", "5", "dpdk-testpmd", f"--lcores=0@{core},1@{core}"),
            *("--no-pci", "--no-shconf", "--no-telemetry", *eal),
            *(f"--file-prefix={self.prefix}", port, *[f"--vdev={vdev}" for vdev in vdevs]),
            *("--", "-i", "--nb-cores=1", "--total-num-mbufs=8192", f"--forward-mode={mode}"),
            "--no-flush-rx",  # else it throws away what waits when it starts
            *(f"--rxq={queues}", f"--txq={queues}", *options),
        ]
        self.output = ""
        self.process = pod.netns.start(*command, stdin=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            self._wait(_PROMPT, 0)
            if start:
                self.command("start")
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _device(pod, role, queues):
        if pod.port == "memif":
            return f"net_memif0,role={role},socket={pod.socket_path},socket-abstract=no"
        serves = int(role == "server")
        return f"net_virtio_user0,path={pod.socket_path},server={serves},queues={queues}"

    def _read(self):
        for piece in iter(lambda: os.read(self.process.stdout.fileno(), 4096), b""):
            self.output += piece.decode(errors="replace")

    def _wait(self, text, start):
        def found():
            assert self.process.poll() is None, f"testpmd ended:\n{self.output[-3000:]}"
            return text in self.output[start:]

        wait_for(found, 30, f"'{text}' from testpmd; it said:\n{self.output[-2000:]}")

    def command(self, text):
        """Types one command; returns what it printed up to the next prompt."""
        start = len(self.output)
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        # The terminal echoes the command behind the old prompt; the new one follows.
        self._wait(_PROMPT, start)
        return self.output[start:]

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
                self.process.stdin.write("quit\n")
                self.process.stdin.flush()
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                pass
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        self.reader.join(10)
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
