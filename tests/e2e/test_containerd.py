"""A real runtime: containerd's `ctr run --cni` puts a container on weir."""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from lab.run import TREE, run, stop, wait_for

BUSYBOX = Path("/bin/busybox")
IMAGE = "weir.test/busybox:latest"
APPLETS = ("sh", "ping", "ping6", "wget", "nc", "sleep", "ip")


def add_file(archive, name, data, mode=0o644):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def layer():
    """A root file system with nothing but busybox."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for directory in ("bin", "proc", "sys", "dev", "tmp", "etc"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        add_file(archive, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return buffer.getvalue()


def write_image(path):
    """An OCI image layout as one tar file (OCI image-spec 1.0)."""
    blobs = {}

    def blob(media_type, data):
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    oci = "application/vnd.oci.image"
    rootfs = blob(f"{oci}.layer.v1.tar", layer())
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [rootfs["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "config": blob(f"{oci}.config.v1+json", json.dumps(config).encode()),
        "layers": [rootfs],
    }
    index = blob(f"{oci}.manifest.v1+json", json.dumps(manifest).encode())
    index["annotations"] = {"io.containerd.image.name": IMAGE}
    with tarfile.open(path, "w") as archive:
        add_file(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add_file(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [index]}).encode())
        for name, data in blobs.items():
            add_file(archive, name, data)


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
