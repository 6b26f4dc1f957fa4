"""Runs the shim as a container runtime does, and stands in for weir-control."""

import contextlib
import json
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time

import conformance

SHIM = os.environ.get("WEIR_CNI", "weir-cni")
HEADER = struct.Struct("<4sHHI")
REQUEST, RESPONSE = 1, 2

# A pod network namespace that exists only as long as the fixture; None = not set up.
ATTACHMENT = {"CNI_CONTAINERID": "c0ffee", "CNI_IFNAME": "eth0"}


class Seen:
    """What a run of the shim left: exit status, both streams, its time."""

    def __init__(self, status, stdout, stderr, seconds):
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        self.seconds = seconds
        conformance.ran(self)

    @property
    def object(self):
        return json.loads(self.stdout) if self.stdout.strip() else None

    @property
    def code(self):
        """The CNI error code; 0 for success. Fails on anything that is neither."""
        if self.status == 0:
            return 0
        error = self.object
        assert error is not None, f"exit status {self.status} without an error object: {self}"
        assert set(error) <= {"cniVersion", "code", "msg", "details"}, error
        assert error["msg"], error
        return error["code"]

    def __repr__(self):
        return (f"status={self.status} stdout={self.stdout[:300]!r} "
                f"stderr={self.stderr[:300]!r} seconds={self.seconds:.2f}")


class Shim:
    """The shim with its directories under `root` and a clean environment."""

    def __init__(self, root, netns):
        self.run_dir = pathlib.Path(root) / "run"
        self.state_dir = pathlib.Path(root) / "state"
        self.run_dir.mkdir()
        self.netns = netns

    def environment(self, command, **changes):
        variables = {"WEIR_RUN_DIR": str(self.run_dir), "WEIR_STATE_DIR": str(self.state_dir)}
        if command is not None:
            variables["CNI_COMMAND"] = command
        if command in ("ADD", "DEL", "CHECK"):
            variables.update(ATTACHMENT, CNI_NETNS=self.netns)
        variables.update(changes)
        return {name: value for name, value in variables.items() if value is not None}

    def start(self, command, stdin=subprocess.PIPE, **changes):
        return subprocess.Popen([SHIM], env=self.environment(command, **changes), stdin=stdin,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __call__(self, command, config=None, timeout=10, **changes):
        if isinstance(config, dict):
            config = json.dumps(config)
        if isinstance(config, str):
            config = config.encode()
        started = time.monotonic()
        process = self.start(command, **changes)
        try:
            stdout, stderr = process.communicate(config or b"", timeout=timeout)
        finally:
            process.kill()
            process.wait()
        return Seen(process.returncode, stdout.decode(), stderr.decode(errors="replace"),
                    time.monotonic() - started)

    def with_open_stdin(self, command, timeout=10, sent=b"", **changes):
        """A runtime that never closes stdin."""
        started = time.monotonic()
        process = self.start(command, **changes)
        try:
            if sent:
                process.stdin.write(sent)
                process.stdin.flush()
            process.wait(timeout=timeout)
            return Seen(process.returncode, process.stdout.read().decode(),
                        process.stderr.read().decode(errors="replace"),
                        time.monotonic() - started)
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.stdout.close()
            process.stderr.close()

    def spooled(self):
        directory = self.state_dir / "spool"
        return sorted(directory.glob("*")) if directory.exists() else []


def config(version="1.1.0", **members):
    """A valid network configuration; None removes a member."""
    document = {"cniVersion": version, "name": "net", "type": "weir-cni", **members}
    return {key: value for key, value in document.items() if value is not None}


def receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("the shim went away")
        data += part
    return data


def read_request(connection):
    magic, version, kind, length = HEADER.unpack(receive(connection, HEADER.size))
    assert (magic, version, kind) == (b"WEIR", 1, REQUEST)
    return json.loads(receive(connection, length))


def frame(body, magic=b"WEIR", version=1, kind=RESPONSE, length=None):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return HEADER.pack(magic, version, kind, len(body) if length is None else length) + body


class FakeDaemon:
    """Listens on cni.sock; `answer(connection, request)` decides what a client sees."""

    def __init__(self, run_dir, answer):
        self.requests = []
        self.answer = answer
        self.stopping = threading.Event()
        self.threads = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(run_dir / "cni.sock"))
        self.listener.listen(16)
        self.acceptor = threading.Thread(target=self.accept)
        self.acceptor.start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            if self.stopping.is_set():
                connection.close()
                return
            thread = threading.Thread(target=self.serve, args=(connection,))
            thread.start()
            self.threads.append(thread)

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            request = read_request(connection)
            self.requests.append(request)
            self.answer(connection, request)

    def hang(self, connection, request):
        """Holds the connection until the test ends."""
        self.stopping.wait()

    def close(self):
        self.stopping.set()
        # Wakes accept(); a listener closed under it would stay blocked.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waker:
            waker.connect(self.listener.getsockname())
        self.acceptor.join()
        for thread in self.threads:
            thread.join()
        self.listener.close()


def replies(body):
    def answer(connection, request):
        connection.sendall(body if isinstance(body, bytes) else frame(body))
    return answer


class NetworkNamespace:
    """A network namespace held by a child process."""

    def __init__(self):
        self.problem = None
        flags = ["--net"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net"]
        self.holder = subprocess.Popen(["unshare", *flags, "sh", "-c", "echo ready; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            self.problem = self.holder.stderr.read().decode().strip()
        self.path = f"/proc/{self.holder.pid}/ns/net"

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()
        self.holder.stdout.close()
        self.holder.stderr.close()
