"""weir-control started by a test itself: quicker than ci/up, and with a fault if wanted."""

import signal
import socket

from .run import wait_for


class ControlProcess:
    """The weir-control of a node whose dataplane runs already."""

    def __init__(self, node):
        self.node = node
        self.process = None
        self.log = node.run_dir / "control.log"

    def start(self, fault=None):
        """Starts it; returns once it listens or has died."""
        variables = {"WEIR_FAULT": fault} if fault else {}
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = self.node.netns.start(
                self.node.program["control"], "--config", self.node.config_file,
                env=self.node.environment | variables, stdout=log, stderr=log)
        wait_for(lambda: not self.alive() or self.listens(), 20, "weir-control's socket")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def listens(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.node.run_dir / "cni.sock")) == 0

    def kill(self):
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait(10)
        self.process = None

    def restart(self, fault=None):
        self.kill()
        self.start(fault)
