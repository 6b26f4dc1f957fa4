"""Network namespaces: made, entered by a program or by one piece of Python, deleted."""

import contextlib
import ctypes
import itertools
import os
import subprocess
from pathlib import Path

from .run import run, run_json

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def unique(stem):
    """A name that no other run on this machine uses at the same time."""
    return f"wt{os.getpid()}-{stem}-{next(_numbers)}"


def _setns(fd):
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Netns:
    def __init__(self, stem):
        self.name = unique(stem)
        self.path = f"/run/netns/{self.name}"
        run("ip", "netns", "add", self.name)
        # Silence: a fresh interface would send router solicitations and MLD reports.
        with self.entered():
            Path("/proc/sys/net/ipv6/conf/default/router_solicitations").write_text("0")

    def delete(self):
        run("ip", "netns", "delete", self.name, check=False)

    def command(self, *command):
        return ["nsenter", f"--net={self.path}", *[str(part) for part in command]]

    def run(self, *command, **options):
        return run(*self.command(*command), **options)

    def json(self, *command, **options):
        return run_json(*self.command(*command), **options)

    def start(self, *command, **options):
        """Starts a program and returns it running; end it with run.stop()."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options
        return subprocess.Popen(self.command(*command), **options)

    @contextlib.contextmanager
    def entered(self):
        """This thread is in the namespace inside the block; sockets made there stay in it."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there)
            try:
                yield self
            finally:
                _setns(home)
        finally:
            os.close(home)
            os.close(there)

    def links(self):
        """Interfaces but loopback, as `ip -d -j link` describes them."""
        links = self.json("ip", "-d", "-j", "link", "show")
        return [link for link in links if link.get("ifname") != "lo"]
