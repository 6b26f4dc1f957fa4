"""The sockets of the daemons and of the pods: who may use them, and what they put up with."""

import contextlib
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from lab.node import Node, node_config
from lab.pod import MemifPod
from lab.run import wait_for

_NOBODY = 65534
_GROUP = 4711
_API_HEADER = struct.Struct("<IHHHHIIiI")  # dataplane/api/protocol.h
_API_MAGIC = 0x72696577
_API_LIMIT = 60 * 1024
_CNI_HEADER = struct.Struct("<4sHHI")  # cni/frame.h
_CNI_LIMIT = 9 << 20
_REQUEST = 1

# Connects as nobody and says how the daemon ends it.
_STRANGER = """
import os, socket, sys
kind = {"stream": socket.SOCK_STREAM, "packets": socket.SOCK_SEQPACKET}[sys.argv[1]]
os.setgroups([]); os.setgid(int(sys.argv[4])); os.setuid(int(sys.argv[4]))
one = socket.socket(socket.AF_UNIX, kind)
one.settimeout(10)
one.connect(sys.argv[2])
try:
    one.send(bytes.fromhex(sys.argv[3]))
    print(len(one.recv(65536)))
except (BrokenPipeError, ConnectionResetError):
    print(0)
"""


def api_hello():
    return _API_HEADER.pack(_API_MAGIC, 1, 1, 0, 80, 1, 1, 0, 0) + bytes(80)


def connect(path, kind):
    one = socket.socket(socket.AF_UNIX, kind)
    one.settimeout(10)
    one.connect(str(path))
    return one


def ended(one):
    """The daemon hung up."""
    try:
        return one.recv(65536) == b""
    except ConnectionResetError:
        return True


def served(node):
    """weir-control answers a runtime."""
    return node.cni("STATUS", conf=node.cni_conf("1.1.0")).code == 0


@contextlib.contextmanager
def open_to_all(*paths):
    """As an operator's mistake would leave it."""
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in paths]
    for path in paths:
        os.chmod(path, 0o777)
    try:
        yield
    finally:
        for path, mode in zip(paths, modes):
            os.chmod(path, mode)


@pytest.mark.parametrize("name, kind, first", [
    ("dataplane.sock", "packets", api_hello()),
    ("cni.sock", "stream", _CNI_HEADER.pack(b"WEIR", 1, _REQUEST, 2) + b"{}"),
])
def test_stranger_gets_no_answer(node, name, kind, first):
    path = node.run_dir / name
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    with open_to_all(node.home, node.run_dir, path):
        command = [sys.executable, "-c", _STRANGER, kind, path, first.hex(), str(_NOBODY)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "0\n", f"a stranger was answered: {done.stdout}{done.stderr}"


API = {
    "short": b"weir",
    "no_header": bytes(27),
    "wrong_magic": api_hello().replace(b"weir", b"riew"),
    "count_beyond_the_body": _API_HEADER.pack(_API_MAGIC, 1, 1, 0, 80, 4000, 1, 0, 0) + bytes(80),
    "too_long": api_hello() + bytes(_API_LIMIT),
}


@pytest.mark.parametrize("raw", API.values(), ids=API)
def test_dataplane_ends_a_bad_message(node, raw):
    with connect(node.run_dir / "dataplane.sock", socket.SOCK_SEQPACKET) as one:
        one.send(raw)
        assert ended(one)
    assert node.ctl("status")["dataplane"]


def test_dataplane_serves_others_beside_one_that_does_not_read(node):
    with connect(node.run_dir / "dataplane.sock", socket.SOCK_SEQPACKET) as one:
        one.send(api_hello())
        one.setblocking(False)
        drop_list = _API_HEADER.pack(_API_MAGIC, 1, 31, 0, 0, 0, 2, 0, 0)
        with contextlib.suppress(BlockingIOError):
            for _ in range(10000):
                one.send(drop_list)
        assert node.ctl("status")["dataplane"]


CNI = {
    "wrong_magic": _CNI_HEADER.pack(b"RIEW", 1, _REQUEST, 2) + b"{}",
    "wrong_version": _CNI_HEADER.pack(b"WEIR", 9, _REQUEST, 2) + b"{}",
    "a_response": _CNI_HEADER.pack(b"WEIR", 1, 2, 2) + b"{}",
    "too_long": _CNI_HEADER.pack(b"WEIR", 1, _REQUEST, _CNI_LIMIT + 1),
    "longest_number": _CNI_HEADER.pack(b"WEIR", 1, _REQUEST, 0xFFFFFFFF),
}


@pytest.mark.parametrize("raw", CNI.values(), ids=CNI)
def test_control_ends_a_bad_frame(node, raw):
    with connect(node.run_dir / "cni.sock", socket.SOCK_STREAM) as one:
        one.sendall(raw)
        while not ended(one):  # it may say why first
            continue
    assert served(node)


@pytest.mark.parametrize("partial", [
    b"WEIR", _CNI_HEADER.pack(b"WEIR", 1, _REQUEST, 1000) + b"{",
], ids=["half_a_header", "half_a_body"])
def test_control_serves_others_beside_half_a_frame(node, partial):
    with connect(node.run_dir / "cni.sock", socket.SOCK_STREAM) as one:
        one.sendall(partial)
        assert served(node)


@pytest.mark.parametrize("daemon", ["dataplane", "control"])
def test_sigpipe_ends_no_daemon(node, daemon):
    """Wherever a reader goes away: a peer, a log's pipe."""
    lines = (Path("/proc") / str(node.pid(daemon)) / "status").read_text().splitlines()
    ignored = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn"))
    assert ignored >> signal.SIGPIPE - 1 & 1


# ---- rule 8: the sockets that pods connect to

@pytest.fixture
def own():
    """A node of the test's own, whose sockets a group may use."""
    one = Node(node_config(network={"socket_group": str(_GROUP)}))
    try:
        one.up()
        yield one
    finally:
        one.close()


@pytest.fixture
def pod(own):
    one = MemifPod(own)
    try:
        yield one.add()
    finally:
        one.close()


def access(path):
    status = os.stat(path)
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def test_directory_and_socket_belong_to_weir(own, pod):
    assert access(own.run_dir / "pods") == (0o750, 0, _GROUP)
    assert access(pod.socket_path) == (0o660, 0, _GROUP)


def restarted(own):
    """Kills the dataplane and starts it; control replays its ports."""
    own.kill("dataplane")
    own.up()


def test_mode_and_owner_are_set_again_after_a_restart(own, pod):
    for path in (pod.socket_path, own.run_dir / "pods"):
        os.chmod(path, 0o777)
        os.chown(path, _NOBODY, _NOBODY)
    restarted(own)
    wait_for(lambda: access(pod.socket_path) == (0o660, 0, _GROUP), 10,
             f"mode and owner of {pod.socket_path}")
    assert access(own.run_dir / "pods") == (0o750, 0, _GROUP)


def test_symbolic_links_are_not_followed(own, tmp_path):
    """A link in place of the directory: no socket is made where it leads."""
    directory = own.run_dir / "pods"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o750)
    if directory.exists():
        directory.rename(own.run_dir / "pods.before")
    directory.symlink_to(elsewhere)
    one = MemifPod(own)
    try:
        answer = one.call("ADD", one.netns.path)
        assert answer.code != 0, answer
        own.kill("dataplane")
        assert own.up(check=False).returncode != 0
        assert not list(elsewhere.iterdir())
        assert access(elsewhere) == (0o750, 0, 0)
    finally:
        one.close()
        directory.unlink(missing_ok=True)


def test_file_in_the_way_is_not_removed(own, pod):
    """A link or a file where the socket belongs is somebody's: refused, not replaced."""
    path = pod.socket_path
    own.kill("dataplane")
    os.unlink(path)
    keep = own.home / "keep"
    keep.write_text("precious")
    os.symlink(keep, path)
    own.up()
    wait_for(lambda: own.ctl("status")["dataplane"], 10, "the dataplane")
    assert os.path.islink(path)
    assert keep.read_text() == "precious"
