"""A real runtime: podman with its CNI backend puts containers on weir."""

import json
import shutil
import subprocess

import pytest
from lab.image import BUSYBOX, IMAGE, write_image
from lab.netns import unique
from lab.run import TREE, run, stop

pytestmark = pytest.mark.release_only

# Its own directories everywhere: nothing of the machine's podman is touched.
CONTAINERS_CONF = """
[network]
network_backend = "cni"
network_config_dir = "{home}/net.d"
cni_plugin_dirs = ["{plugins}"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
log_driver = "k8s-file"
default_ulimits = []
"""
STORAGE_CONF = """
[storage]
driver = "vfs"
graphroot = "{home}/storage"
runroot = "{home}/run"
"""
POLICY = {"default": [{"type": "insecureAcceptAnything"}]}


class Podman:
    def __init__(self, node, home):
        self.node = node
        self.home = home
        plugins = home / "plugins"
        plugins.mkdir()
        (plugins / "weir-cni").symlink_to(node.program["cni"])
        (home / "net.d").mkdir()
        shutil.copy(TREE / "config/10-weir.conflist", home / "net.d/10-weir.conflist")
        (home / "containers.conf").write_text(CONTAINERS_CONF.format(home=home, plugins=plugins))
        (home / "storage.conf").write_text(STORAGE_CONF.format(home=home))
        (home / "policy.json").write_text(json.dumps(POLICY))
        self.environment = node.environment | {
            "CONTAINERS_CONF": str(home / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(home / "storage.conf"),
            "XDG_RUNTIME_DIR": str(home),
        }

    def command(self, *arguments):
        return self.node.netns.command("podman", "--tmpdir", self.home / "tmp", *arguments)

    def __call__(self, *arguments, **options):
        return run(*self.command(*arguments), env=self.environment, timeout=120, **options)

    def load(self):
        image = self.home / "image.tar"
        write_image(image)
        self("load", "--signature-policy", self.home / "policy.json", "-i", image)

    def run_container(self, *command, **options):
        return self("run", "--rm", "--network", "weir", "--name", unique("podman"), IMAGE, *command,
                    **options)

    def close(self):
        self("rm", "--all", "--force", "--time", "1", check=False)


@pytest.fixture
def podman(node, tmp_path):
    for program in ("podman", "conmon", "runc"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    if not BUSYBOX.exists():
        pytest.skip("/bin/busybox is not installed")
    instance = Podman(node, tmp_path)
    try:
        backend = instance("info", "--format", "{{.Host.NetworkBackend}}").stdout.strip()
        if backend != "cni":
            pytest.skip(f"this podman has no CNI backend, only {backend}")
        instance.load()
        yield instance
    finally:
        instance.close()


def test_container_reaches_a_pod(node, pods, podman):
    pod = pods.kernel(node)
    before = len(node.ctl("pod", "list"))
    script = f"ip address show dev eth0; ping -c 2 -W 2 {pod.ip4} && ping -6 -c 2 -W 2 {pod.ip6}"
    done = podman.run_container("/bin/sh", "-c", script, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0% packet loss") == 2
    assert len(node.ctl("pod", "list")) == before, "the container's attachment is still there"


def test_address_and_mac_are_those_asked_for(node, podman):
    done = podman("run", "--rm", "--network", "weir", "--ip", "10.244.0.77", "--mac-address",
                  "02:00:00:00:77:77", IMAGE, "ip", "address", "show", "dev", "eth0")
    assert "10.244.0.77/32" in done.stdout and "02:00:00:00:77:77" in done.stdout


def test_two_containers_talk(node, podman):
    server = subprocess.Popen(
        podman.command("run", "--rm", "--network", "weir", "--name", unique("server"), IMAGE,
                       "/bin/sh", "-c", "ip -4 -o address show dev eth0; echo hello | nc -l -p 7000"),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=podman.environment)
    try:
        address = server.stdout.readline().split("inet ")[1].split("/")[0]
        done = podman.run_container(
            "/bin/sh", "-c", f"for i in 1 2 3 4 5; do nc -w 2 {address} 7000 && exit 0; done; exit 1",
            check=False)
        assert "hello" in done.stdout, done.stdout + done.stderr
    finally:
        stop(server)
