"""A real runtime: containerd's `ctr run --cni` puts a container on weir."""

import shutil
import subprocess

import pytest
from lab.image import BUSYBOX, IMAGE, write_image
from lab.run import TREE, run, stop, wait_for

pytestmark = pytest.mark.release_only

# /etc/cni/net.d and /opt/cni/bin are fixed in ctr. A mount namespace of our own shows it
# ours there and leaves the machine's alone, whatever happens.
PRIVATE_MOUNTS = """
set -e
home=$1
mount -t tmpfs none /opt
mkdir -p /opt/cni/bin
ln -s "$2" /opt/cni/bin/weir-cni
mkdir -p "$home/etc"
mount -t tmpfs none "$home/etc"
mkdir "$home/etc/upper" "$home/etc/work"
mount -t overlay none -o "lowerdir=/etc,upperdir=$home/etc/upper,workdir=$home/etc/work" /etc
rm -rf /etc/cni
mkdir -p /etc/cni/net.d /run/containerd
mount -t tmpfs none /run/containerd
cp "$3" /etc/cni/net.d/
exec containerd --config "$home/config.toml" --log-level warn
"""


class Containerd:
    """An instance with directories and mounts of its own."""

    def __init__(self, node, home):
        self.node = node
        self.home = home
        self.socket = home / "containerd.sock"
        (home / "config.toml").write_text(
            f'version = 2\nroot = "{home}/root"\nstate = "{home}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\n  address = "{self.socket}"\n'
        )
        self.log = (home / "log").open("w")
        self.process = subprocess.Popen(
            node.netns.command(
                "unshare", "--mount", "--propagation", "private", "sh", "-c", PRIVATE_MOUNTS, "sh",
                home, node.program["cni"], TREE / "config/10-weir.conflist",
            ),
            stdout=self.log, stderr=self.log, env=node.environment,
        )
        try:
            wait_for(self._answers, 30, "containerd")
        except BaseException:
            self.close()
            raise

    def _answers(self):
        assert self.process.poll() is None, (self.home / "log").read_text()
        return self.socket.exists() and self.ctr("version", check=False).returncode == 0

    def command(self, *arguments):
        inside = ["nsenter", f"--target={self.process.pid}", "--mount"]
        return self.node.netns.command(*inside, "ctr", "--address", self.socket, *arguments)

    def ctr(self, *arguments, **options):
        return run(*self.command(*arguments), env=self.node.environment, **options)

    def close(self):
        stop(self.process)
        self.log.close()


@pytest.fixture
def containerd(node, tmp_path):
    for program in ("containerd", "ctr", "runc"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    if not BUSYBOX.exists():
        pytest.skip("/bin/busybox is not installed")
    instance = Containerd(node, tmp_path)
    try:
        image = tmp_path / "image.tar"
        write_image(image)
        instance.ctr("image", "import", "--snapshotter", "native", image)
        yield instance
    finally:
        instance.close()


def run_container(containerd, name, *command):
    return containerd.ctr(
        "run", "--rm", "--cni", "--snapshotter", "native", IMAGE, name, *command, check=False
    )


def test_container_reaches_a_pod(node, pods, containerd):
    pod = pods.kernel(node)
    leases = len(node.ctl("pod", "list"))
    script = (
        f"ip address show dev eth0; ping -c 2 -W 2 {pod.ip4} && ping -6 -c 2 -W 2 {pod.ip6}"
    )
    done = run_container(containerd, "reacher", "/bin/sh", "-c", script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10.244.0." in done.stdout
    assert done.stdout.count(" 0% packet loss") == 2
    assert len(node.ctl("pod", "list")) == leases, "the container's attachment is still there"


def test_two_containers_talk(node, containerd):
    server = subprocess.Popen(
        containerd.command(
            "run", "--rm", "--cni", "--snapshotter", "native", IMAGE, "server",
            "/bin/sh", "-c", "ip -4 -o address show dev eth0; echo hello | nc -l -p 7000",
        ),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=node.environment,
    )
    try:
        address = server.stdout.readline().split("inet ")[1].split("/")[0]
        done = run_container(
            containerd, "client", "/bin/sh", "-c",
            f"for i in 1 2 3 4 5; do nc -w 2 {address} 7000 && exit 0; done; exit 1",
        )
        assert "hello" in done.stdout, done.stdout + done.stderr
    finally:
        stop(server)
