"""Bad input at the start: one sentence on stderr, a failure, nothing half done."""

import json
import os
import socket

import pytest
from lab.node import node_config
from lab.run import run


def leftovers(node):
    """Links and files that a refused start left behind."""
    links = [link["ifname"] for link in node.netns.links()]
    kept = {"weir.json"}
    files = [str(p) for p in node.home.rglob("*") if p.name not in kept and not p.is_dir()]
    return links + files


def refused(node, daemon, **options):
    """Starts a daemon in the foreground; it must refuse with one sentence. Returns it."""
    done = node.run(
        node.program[daemon], "--config", node.config_file, check=False, timeout=20, **options
    )
    assert done.returncode > 0, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    return sentence(done.stderr, daemon)


def sentence(stderr, daemon):
    """The one sentence for people, behind any log lines."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(f"weir-{daemon}: ")]
    assert len(said) == 1 and said == lines[-1:], stderr
    return said[0]


DAEMONS = ["dataplane", "control"]
BAD_CONFIGS = {
    "malformed": '{"dataplane": ',
    "not an object": "[]",
    "empty": "",
    "unknown key": json.dumps({"dataplane": {"worker": [0]}}),
    "unknown section": json.dumps({"dataplan": {}}),
    "wrong type": json.dumps({"network": {"mtu": "big"}}),
    "out of range": json.dumps({"network": {"mtu": 10}}),
    "bad prefix": json.dumps({"network": {"pod_cidrs": ["10.244.0.1/24"]}}),
}


@pytest.mark.parametrize("daemon", DAEMONS)
@pytest.mark.parametrize("text", BAD_CONFIGS.values(), ids=BAD_CONFIGS.keys())
def test_bad_config(make_node, daemon, text):
    node = make_node()
    node.write_config(text)
    said = refused(node, daemon)
    assert str(node.config_file) in said
    assert leftovers(node) == []


def test_unknown_key_gets_a_suggestion(make_node):
    node = make_node()
    node.write_config(BAD_CONFIGS["unknown key"])
    assert "workers" in refused(node, "dataplane")


@pytest.mark.parametrize("daemon", DAEMONS)
def test_missing_config_file(make_node, daemon):
    node = make_node()
    node.config_file.unlink()
    assert str(node.config_file) in refused(node, daemon)


def test_required_hugepages_missing(make_node):
    node = make_node()
    # More than any machine that runs this has reserved.
    node.write_config(
        node_config(dataplane={"hugepages": "required", "memory_mib": 1048576})
    )
    said = refused(node, "dataplane")
    assert "hugepages" in said
    assert leftovers(node) == []


def test_core_that_is_not_there(make_node):
    node = make_node()
    node.write_config(node_config(dataplane={"workers": [1000]}))
    assert "1000" in refused(node, "dataplane")
    assert leftovers(node) == []


@pytest.mark.parametrize(("daemon", "name"), [("dataplane", "dataplane.sock"), ("control", "cni.sock")])
def test_occupied_socket(own_node, daemon, name):
    """A second instance refuses, and the first goes on."""
    node = own_node
    said = refused(node, daemon)
    assert name in said or "already" in said
    assert node.ctl("status")["dataplane"]["running"]


@pytest.mark.parametrize(("daemon", "name"), [("dataplane", "dataplane.sock"), ("control", "cni.sock")])
def test_stale_socket_is_replaced(make_node, daemon, name):
    """A socket file that nobody listens on does not keep the node down."""
    node = make_node()
    node.run_dir.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(node.run_dir / name))
    node.up()
    assert node.ctl("status")["dataplane"]["running"]


@pytest.mark.parametrize(("daemon", "name"), [("dataplane", "dataplane.sock"), ("control", "cni.sock")])
def test_file_in_the_sockets_place(make_node, daemon, name):
    node = make_node()
    node.run_dir.mkdir()
    precious = node.run_dir / name
    precious.write_text("precious")
    said = refused(node, daemon)
    assert name in said
    assert precious.read_text() == "precious"


def test_state_directory_that_cannot_be_made(make_node):
    node = make_node()
    node.state_dir.write_text("a file in its place")
    said = refused(node, "control")
    assert str(node.state_dir) in said


@pytest.mark.parametrize("daemon", DAEMONS)
def test_without_root(make_node, daemon, tmp_path_factory):
    """As an ordinary user: a sentence that says what is missing."""
    node = make_node()
    node.home.chmod(0o755)
    node.config_file.chmod(0o644)
    node.run_dir.mkdir(mode=0o755)
    node.state_dir.mkdir(mode=0o755)
    program = node.program[daemon]
    # Not every build folder is open to everybody: run it by an open descriptor.
    fd = os.open(program, os.O_RDONLY)
    try:
        done = node.run(
            "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
            "--bounding-set=-all", f"/proc/self/fd/{fd}", "--config", node.config_file,
            check=False, timeout=20, pass_fds=[fd],
        )
    finally:
        os.close(fd)
    assert done.returncode > 0
    sentence(done.stderr, daemon)
    assert leftovers(node) == []


def test_damaged_store_does_not_keep_control_down(own_node, pods):
    node = own_node
    node.kill("control")
    store = next(node.state_dir.glob("*.db"))
    for path in node.state_dir.glob(f"{store.name}-*"):
        path.unlink()
    store.write_bytes(b"not a database at all" * 500)
    node.up()
    pods.kernel(node).ping("10.244.0.1")


@pytest.mark.parametrize("daemon", [*DAEMONS, "ctl"])
def test_version_and_help(make_node, daemon):
    node = make_node()
    for option in ("--help", "--version"):
        done = run(node.program[daemon], option, env=node.environment)
        assert done.stdout.strip()
