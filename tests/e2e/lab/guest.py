"""A virtual machine in a vhost-user pod: QEMU without KVM, Debian's cloud kernel, and an
initramfs of busybox and iperf3. Commands go in and answers come out by its serial console."""

import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .console import Console
from .run import CommandFailed, run, stop

_INTERFACE = "eth0"
_MIB = 128
_BOOT_SECONDS = 180  # it takes 5 on an idle machine
_INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
stty -echo -onlcr
# No delay by duplicate address detection.
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
for module in $(cat /modules); do insmod /lib/$module; done
ip link set lo up
iperf3 -s -D
echo guest is ready
while read -r command; do
  eval "$command"
  echo "<exit $?>"
done
poweroff -f
"""


def _kernel():
    """The newest image and its release."""
    images = Path("/boot").glob("vmlinuz-*-cloud-amd64")
    images = sorted(images, key=lambda image: image.stat().st_mtime)
    assert images, "no kernel of linux-image-cloud-amd64 in /boot; run ./ci/setup test"
    return images[-1], images[-1].name.removeprefix("vmlinuz-")


def _modules(release):
    """Files of the virtio-net driver and of what it needs, in the order of loading."""
    folder = Path("/lib/modules") / release
    needs = dict(line.split(":") for line in (folder / "modules.dep").read_text().splitlines())
    found = []
    for name in ("virtio/virtio_pci.ko", "net/virtio_net.ko"):
        path = f"kernel/drivers/{name}"
        found += [*reversed(needs[path].split()), path]
    return [folder / path for path in dict.fromkeys(found)]


def _libraries(program):
    """Shared libraries of a program, the loader included."""
    return re.findall(r"(/\S+) \(0x", run("ldd", program).stdout)


@functools.cache
def _initramfs():
    """Made once for all guests; the file object keeps it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder in ("bin", "dev", "lib", "proc", "sys", "tmp"):
            (root / folder).mkdir()
        init = root / "init"
        init.write_text(_INIT)
        init.chmod(0o755)
        modules = _modules(_kernel()[1])
        (root / "modules").write_text(" ".join(module.name for module in modules))
        for module in modules:
            shutil.copy(module, root / "lib")
        shutil.copy(shutil.which("busybox"), root / "bin/busybox")
        iperf3 = shutil.which("iperf3")
        shutil.copy(iperf3, root / "bin")
        for library in _libraries(iperf3):
            place = root / library.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)
        archive = tempfile.NamedTemporaryFile(prefix="weir-guest-")
        names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
        subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=root, input=names.encode(),
                       stdout=archive, stderr=subprocess.DEVNULL, check=True)
    return archive


class Guest:
    """Starts when made; after boot(), or inside `with`, it is up and has the addresses of the
    pod's CNI result.

    `serves`: QEMU makes the socket at `path` and weir connects; else it connects to the
    pod's, and again each second when it was lost. `device`: more of virtio-net's properties.
    Its addresses, shell and iperf3 server make it a stack (stack.py).
    """

    def __init__(self, pod, serves=False, path=None, queues=1, mtu=None, device=""):
        self.pod, self.mtu = pod, mtu
        role = "server=on,wait=off" if serves else "reconnect=1"
        image, _ = _kernel()
        # Without MSI-X: for vhost-user's, QEMU 7.2 uses KVM's interrupts even where KVM is not.
        net = f"virtio-net-pci,netdev=net,mac={pod.mac},vectors=0,mq={'on' if queues > 1 else 'off'}"
        command = [
            *("nice", "-n", "5", "qemu-system-x86_64", "-accel", "tcg", "-machine", "q35"),
            *("-m", _MIB, "-smp", queues, "-nodefaults", "-no-user-config", "-display", "none"),
            *("-object", f"memory-backend-memfd,id=memory,size={_MIB}M,share=on"),
            *("-numa", "node,memdev=memory"),
            *("-chardev", f"socket,id=vhost,path={path or pod.socket_path},{role}"),
            *("-netdev", f"vhost-user,id=net,chardev=vhost,queues={queues}"),
            *("-device", net + (device and f",{device}")),
            *("-kernel", image, "-initrd", _initramfs().name, "-serial", "stdio", "-no-reboot"),
            # On a busy machine the kernel's check of its timer fails, and with it the boot.
            *("-append", "console=ttyS0 quiet panic=-1 no_timer_check"),
        ]
        self.process = pod.netns.start(*command, stdin=subprocess.PIPE)
        self.console = Console(self.process, "the guest")

    def _configure(self):
        """What a CNI plugin does for a kernel interface."""
        self.sh(f"ip link set {_INTERFACE} {f'mtu {self.mtu} ' if self.mtu else ''}up")
        for ip in self.pod.result["ips"]:
            address, gateway = ip["address"].split("/")[0], ip["gateway"]
            version, bits = ("-6", 128) if ":" in address else ("-4", 32)
            self.sh(f"ip {version} address add {address}/{bits} dev {_INTERFACE}")
            self.sh(f"ip {version} route add {gateway}/{bits} dev {_INTERFACE}")
            self.sh(f"ip {version} route add default via {gateway} dev {_INTERFACE}")

    @property
    def addresses(self):
        return self.pod.addresses

    def sh(self, command, check=True, seconds=30):
        """Runs a line of shell; returns what it printed and its exit code."""
        start = self.console.type(command)
        end = self.console.wait(r"<exit (\d+)>", start, seconds)
        output, code = self.console.output[start : end.start()], int(end[1])
        if check and code != 0:
            raise CommandFailed(f"in the guest: {command}: exit {code}\n{output}")
        return subprocess.CompletedProcess(command, code, output)

    def received(self):
        """Packets and bytes that came to its interface, as its kernel counts."""
        folder = f"/sys/class/net/{_INTERFACE}/statistics"
        counters = self.sh(f"cat {folder}/rx_packets {folder}/rx_bytes").stdout.split()
        return [int(counter) for counter in counters]

    def close(self):
        """Without shutting it down: nothing in it is to be kept."""
        self.process.kill()
        self.console.reader.join(10)
        stop(self.process)

    def boot(self):
        """Until it is up."""
        try:
            self.console.wait("guest is ready", seconds=_BOOT_SECONDS)
            self._configure()
        except BaseException:
            self.close()
            raise
        return self

    def __enter__(self):
        return self.boot()

    def __exit__(self, *_):
        self.close()
