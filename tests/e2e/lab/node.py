"""One weir node in its own network namespace, started and stopped by ci/up and ci/down."""

import contextlib
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

from .netns import Netns
from .run import TREE, run, wait_for

POD_CIDR4 = "10.244.0.0/24"
POD_CIDR6 = "fd00:10:244::/64"
GATEWAY4 = "10.244.0.1"
GATEWAY6 = "fd00:10:244::1"
GATEWAY_MAC = "02:77:65:69:72:01"
DAEMONS = ("dataplane", "control")


def open_links(pid):
    """What a process's descriptors point to; one may be closed since they were listed."""
    links = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(entry))
    return links


class CniResult:
    """What a runtime sees of one plugin call."""

    def __init__(self, done):
        self.code = done.returncode
        self.stdout = done.stdout
        self.stderr = done.stderr
        self.json = json.loads(done.stdout) if done.stdout.strip() else None

    def __repr__(self):
        return f"CniResult(exit {self.code}, {self.stdout!r}, {self.stderr!r})"


def node_config(**sections):
    """A weir.json for tests; sections are merged key by key."""
    config = {
        "dataplane": {"hugepages": "auto", "memory_mib": 256},
        "control": {"metrics": ""},
        "network": {"pod_cidrs": [POD_CIDR4, POD_CIDR6]},
    }
    for name, keys in sections.items():
        config[name] = config.get(name, {}) | keys
    return config


class Node:
    def __init__(self, config=None, build=None, wrapper=(), netns=None):
        self.home = Path(tempfile.mkdtemp(prefix="weir-node-"))
        self.run_dir = self.home / "run"
        self.state_dir = self.home / "state"
        self.config_file = self.home / "weir.json"
        self.build = Path(build or self.build_dir())
        self.wrapper = list(wrapper)
        self.netns = netns or Netns("node")
        self.own_netns = netns is None
        self.write_config(config or node_config())
        if self.own_netns:
            self.netns.run("ip", "link", "set", "lo", "up")

    @staticmethod
    def build_dir():
        return Path(os.environ.get("WEIR_BUILD_DIR") or TREE / "build")

    def write_config(self, config):
        text = config if isinstance(config, str) else json.dumps(config, indent=2)
        self.config_file.write_text(text)

    @property
    def environment(self):
        sanitizers = {
            name: f"{os.environ.get(name, '')}:log_path={self.home}/sanitizer"
            for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS")
        }
        return os.environ | sanitizers | {
            "WEIR_RUN_DIR": str(self.run_dir),
            "WEIR_STATE_DIR": str(self.state_dir),
            "WEIR_BUILD_DIR": str(self.build),
        }

    @property
    def program(self):
        return {
            "dataplane": self.build / "dataplane/weir-dataplane",
            "control": self.build / "control/weir-control",
            "cni": self.build / "cni/weir-cni",
            "ctl": self.build / "control/ctl/weirctl",
        }

    def run(self, *command, **options):
        """Runs a program on the node: its namespace, its directories."""
        return self.netns.run(*command, env=self.environment, **options)

    def up(self, **options):
        return self.run(
            *self.wrapper, TREE / "ci/up", "--config", self.config_file, timeout=120, **options
        )

    def down(self, **options):
        return self.run(TREE / "ci/down", timeout=60, **options)

    def close(self):
        """Stops the node and removes all that belongs to it. Fails on a sanitizer's report."""
        try:
            if self.run_dir.exists():
                self.down()
            reports = [path.read_text() for path in self.home.glob("sanitizer.*")]
            assert not reports, "\n".join(reports)
        finally:
            if self.own_netns:
                self.netns.delete()
            shutil.rmtree(self.home, ignore_errors=True)

    def pid(self, daemon):
        return int((self.run_dir / f"{daemon}.pid").read_text())

    def kill(self, daemon, number=signal.SIGKILL):
        """Signals a daemon and waits for its end."""
        pid = self.pid(daemon)
        os.kill(pid, number)
        wait_for(lambda: not running(pid), 15, f"end of weir-{daemon}")

    def clients(self, daemon):
        """Inodes of the connections that the daemon has accepted on its socket."""
        sockets = {"control": "cni.sock", "dataplane": "dataplane.sock"}
        path = str(self.run_dir / sockets[daemon])
        rows = [line.split() for line in self.run("cat", "/proc/net/unix").stdout.splitlines()]
        connected = "03"  # SS_CONNECTED
        return [row[6] for row in rows if row[5] == connected and row[7:] == [path]]

    def descriptors(self, daemon):
        """How many the daemon holds, connections of clients left out: those come and go."""
        clients = {f"socket:[{inode}]" for inode in self.clients(daemon)}
        return sum(link not in clients for link in open_links(self.pid(daemon)))

    def logs(self):
        text = ""
        for daemon in DAEMONS:
            log = self.run_dir / f"{daemon}.log"
            if log.exists():
                text += f"--- weir-{daemon}\n{log.read_text(errors='replace')[-6000:]}\n"
        return text

    def ctl_raw(self, *arguments, **options):
        return self.run(self.program["ctl"], *arguments, **options)

    def ctl(self, *arguments):
        """weirctl -j: its answer, parsed."""
        return json.loads(self.ctl_raw("-j", *arguments).stdout)

    def drops(self):
        """Packets dropped since the dataplane's start, by reason."""
        return {d["name"]: int(d["packets"]) for d in self.ctl("drop", "list", "--all")}

    def ports(self):
        """The dataplane's ports but uplinks, by their first address."""
        return {port["addresses"][0]: port
                for port in self.ctl("port", "list") if port["addresses"]}

    def cni_conf(self, version=None, **extra):
        """The plugin's stdin as libcni makes it from the ready-made conflist."""
        conflist = json.loads((TREE / "config/10-weir.conflist").read_text())
        conf = conflist["plugins"][0] | extra
        conf |= {"name": conflist["name"], "cniVersion": version or conflist["cniVersion"]}
        capabilities = conf.pop("capabilities", None)
        if capabilities and "runtimeConfig" in extra:
            conf["runtimeConfig"] = extra["runtimeConfig"]
        return conf

    def cni(
        self, command, container="", netns="", ifname="eth0", conf=None, args="", timeout=30,
        variables=(),
    ):
        """Runs the shim exactly as a runtime does: environment and stdin.

        `variables`: a dictionary of others that the runtime has or sets anew."""
        environment = {
            "PATH": os.environ["PATH"],
            "WEIR_RUN_DIR": str(self.run_dir),
            "WEIR_STATE_DIR": str(self.state_dir),
            "ASAN_OPTIONS": self.environment["ASAN_OPTIONS"],
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns,
            "CNI_IFNAME": ifname,
            "CNI_PATH": str(self.program["cni"].parent),
        }
        if args:
            environment["CNI_ARGS"] = args
        environment |= dict(variables)
        done = run(
            self.program["cni"],
            check=False,
            timeout=timeout,
            env=environment,
            input=json.dumps(conf if conf is not None else self.cni_conf()),
        )
        return CniResult(done)


def running(pid):
    """Some thread of it still runs: a zombie's other threads may keep its sockets open."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except OSError:
        return False
    state, threads = fields[0], int(fields[17])
    return state != "Z" or threads > 1

