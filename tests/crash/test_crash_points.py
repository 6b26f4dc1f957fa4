"""weir-control and the shim die, or fail, at every place of ADD and DEL.

The places come from the programs themselves (cni/fault/fault.h). Whatever dies where, one
restart later a pod is there entirely or not at all, and its next DEL removes it.
"""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lab import fault
from lab.control import ControlProcess
from lab.node import Node
from lab.pod import KernelPod, MemifPod
from lab.reports import open_nodes
from lab.run import TREE, CommandFailed, stop, wait_for

BUILD = Node.build_dir()
SHIM = fault.places(BUILD / "cni/weir-cni")
# The spool's writer is in both programs, but only the shim calls it.
CONTROL = {
    name: fails
    for name, fails in fault.places(BUILD / "control/weir-control").items()
    if name not in SHIM
}
HOST_LOCAL = Path("/usr/lib/cni")  # Debian's containernetworking-plugins
SUBNET = "10.82.0.0/24"


class DelegatedPod(KernelPod):
    """Gets its addresses from the host-local plugin."""

    kept = "networks"

    def __init__(self, node, stem):
        ipam = {"type": "host-local", "dataDir": str(node.home / self.kept), "subnet": SUBNET}
        super().__init__(node, stem, ipam=ipam)
        self.variables = {"CNI_PATH": str(HOST_LOCAL)}


class SharedPod(KernelPod):
    """Gets its addresses from weir, which keeps them in host-local's directory too."""

    def __init__(self, node, stem):
        ipam = {"dataDir": str(node.home / DelegatedPod.kept), "subnet": SUBNET}
        super().__init__(node, stem, ipam=ipam)


KINDS = {"kernel": KernelPod, "memif": MemifPod}
# Somebody else keeps their addresses as well.
OUTSIDE = {"delegate": DelegatedPod, "shared": SharedPod}
# What there is of a pod.
ABSENT = set()
PRESENT = {
    "kernel": {"attachment", "record", "lease", "port", "route", "interface", "address",
               "default route"},
    "memif": {"attachment", "record", "lease", "port", "route", "socket"},
}
PRESENT |= {kind: PRESENT["kernel"] | {"reservation"} for kind in OUTSIDE}
# A memif pod's ADD makes no interface.
KERNEL_ONLY = ("tap.", "link.", "add.link_", "del.link_wanted")

if not SHIM:
    pytest.skip("needs programs built with -Dfault_injection=true (./ci/build asan or fault)",
                allow_module_level=True)


def with_kinds(places):
    """Each place with each kind of port whose ADD or DEL comes along there."""
    places = [place for place in places if not place.startswith(tuple(f"{k}." for k in OUTSIDE))]
    return [(place, kind) for place in places for kind in KINDS
            if kind == "kernel" or not place.startswith(KERNEL_ONLY)]


def outside(places):
    """The same for pods whose addresses somebody else keeps too."""
    return [(place, kind) for place in places for kind in OUTSIDE
            if place.startswith(("add.", "del.", f"{kind}."))
            and (kind, place) != ("delegate", "add.lease_written")]


class ObservedNode(Node):
    """A sanitized weirctl takes 0.1 s to start, and only looks here: a lighter one does."""

    @property
    def program(self):
        light = TREE / "build/control/ctl/weirctl"
        programs = super().program
        return programs | {"ctl": light} if light.exists() else programs


class CrashNode(ControlProcess):
    """A node of one pod, whose weir-control dies."""

    def reached(self, injected):
        return f"fault: {injected}\n" in self.log.read_text(encoding="utf-8", errors="replace")

    def traces(self, pod):
        """What there is of the one pod of this node, wherever it could have left something."""
        ports = self.node.ctl("port", "list")
        own = {str(port["key"]) for port in ports if port["kind"] == "host"}
        ports = [port for port in ports if port["kind"] != "host"]
        keys = {port["key"] for port in ports}
        leases = self.node.ctl("ipam", "show")["leases"]
        spool = self.node.state_dir / "spool"
        found = {
            "attachment": self.node.ctl("pod", "list"),
            "lease": [one for one in leases
                      if one["state"] == "leased" and one["container_id"] != "@host"],
            "port": ports,
            "route": [one for one in self.node.ctl("route", "list")
                      if one["port"] and one["port"]["key"] in keys],
            "interface": pod.netns.links(),
            "address": [link for link in pod.netns.json("ip", "-j", "addr", "show", "scope", "global")
                        if link.get("addr_info")],
            "default route": pod.netns.json("ip", "-j", "route", "show", "default"),
            "socket": list((self.node.run_dir / "pods").glob("*")),
            "record": [path for path in (self.node.run_dir / "attachments").glob("*.json")
                       if path.stem not in own],
            "spool": list(spool.glob("*.json")),
            "reservation": list((self.node.home / DelegatedPod.kept).glob("*/10.*")),
        }
        return {name for name, what in found.items() if what}

    def settles(self, pod, *wanted):
        """Waits until the pod is in one of the wanted states."""
        try:
            wait_for(lambda: self.state_among(pod, wanted), 10, "a whole state")
        except TimeoutError:
            seen = self.traces(pod)
            raise AssertionError(f"expected one of {wanted}, saw {seen}") from None

    def state_among(self, pod, wanted):
        try:
            if not self.node.ctl("status")["control"]["dataplane"]["connected"]:
                return False
            return self.traces(pod) in wanted
        except CommandFailed:
            return False  # it is about to die


@pytest.fixture(scope="module")
def crash_node():
    node = ObservedNode(build=BUILD)
    crashing = CrashNode(node)
    open_nodes.append(node)
    try:
        node.up()
        node.kill("control")
        yield crashing
    finally:
        crashing.kill()
        open_nodes.remove(node)
        node.close()


@pytest.fixture
def pod(crash_node, kind):
    made = (KINDS | OUTSIDE)[kind](crash_node.node, "crash")
    yield made
    crash_node.restart()
    made.close()


def add(pod):
    return pod.call("ADD", pod.netns.path)


def expect_clean_end(crash_node, pod, kind):
    """The runtime's next steps work: DEL, the same ADD again, DEL."""
    assert pod.delete().code == 0
    crash_node.settles(pod, ABSENT)
    answer = add(pod)
    assert answer.code == 0, answer
    crash_node.settles(pod, PRESENT[kind])
    assert pod.delete().code == 0
    crash_node.settles(pod, ABSENT)


def in_add(crash_node, pod, injected):
    crash_node.restart(injected)
    return add(pod)


def in_delete(crash_node, pod, injected):
    """Goes on where in_add() came through."""
    answer = pod.delete()
    assert answer.code == 0, answer
    return answer


def in_start(crash_node, pod, injected):
    """A DEL waits in the spool and an ADD was cut off."""
    crash_node.restart()
    assert add(pod).code == 0
    crash_node.kill()
    assert pod.delete().code == 0
    crash_node.start(injected)
    wait_for(lambda: not crash_node.alive() or crash_node.state_among(pod, [ABSENT]), 20,
             "the start's end")


@pytest.mark.parametrize("place, kind", with_kinds(CONTROL) + outside(CONTROL))
def test_control_is_killed(crash_node, pod, kind, place):
    injected = f"kill@{place}"
    for way in (in_add, in_delete, in_start):
        crash_node.log.write_text("")
        way(crash_node, pod, injected)
        if crash_node.reached(injected):
            break
    assert crash_node.reached(injected), f"{place} lies on no way of this test"
    wait_for(lambda: not crash_node.alive(), 10, "the end of weir-control")
    crash_node.restart()
    crash_node.settles(pod, ABSENT, *([PRESENT[kind]] if way is in_add else []))
    expect_clean_end(crash_node, pod, kind)


@pytest.mark.parametrize("place, kind", with_kinds(n for n, fails in CONTROL.items() if fails))
def test_control_fails(crash_node, pod, kind, place):
    """An effect fails, or seems to: ADD undoes it all, DEL succeeds all the same."""
    injected = f"error@{place}"
    crash_node.log.write_text("")
    answer = in_add(crash_node, pod, injected)
    if crash_node.reached(injected):
        assert answer.code != 0 and answer.json["msg"], answer
        crash_node.settles(pod, ABSENT)
    else:
        assert pod.delete().code == 0
        assert crash_node.reached(injected), f"{place} lies on no way of this test"
        # What DEL could not do, the next start does.
        crash_node.restart()
        crash_node.settles(pod, ABSENT)
    expect_clean_end(crash_node, pod, kind)


def run_shim(pod, command, injected):
    """One call of the shim with a fault; whether it was reached."""
    environment = os.environ | {
        "WEIR_RUN_DIR": str(pod.node.run_dir), "WEIR_STATE_DIR": str(pod.node.state_dir),
        "ASAN_OPTIONS": pod.node.environment["ASAN_OPTIONS"], "WEIR_FAULT": injected,
        "CNI_COMMAND": command, "CNI_CONTAINERID": pod.container, "CNI_NETNS": pod.netns.path,
        "CNI_IFNAME": pod.ifname, "CNI_PATH": str(BUILD / "cni"),
    }
    shim = subprocess.Popen([pod.node.program["cni"]], env=environment, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        _, said = shim.communicate(pod.config_text(), timeout=30)
    finally:
        stop(shim)
    return f"fault: {injected}" in said


def shim_in_add(crash_node, pod, injected):
    crash_node.restart()
    return run_shim(pod, "ADD", injected)


def shim_in_delete(crash_node, pod, injected):
    crash_node.restart()
    assert add(pod).code == 0
    return run_shim(pod, "DEL", injected)


def shim_in_spooled_delete(crash_node, pod, injected):
    crash_node.restart()
    assert add(pod).code == 0
    crash_node.kill()
    hit = run_shim(pod, "DEL", injected)
    crash_node.start()
    return hit


@pytest.mark.parametrize("place, kind", with_kinds(SHIM))
def test_shim_is_killed(crash_node, pod, kind, place):
    hits = 0
    for way in (shim_in_add, shim_in_delete, shim_in_spooled_delete):
        hits += way(crash_node, pod, f"kill@{place}")
        crash_node.settles(pod, ABSENT, PRESENT[kind])
        expect_clean_end(crash_node, pod, kind)
    assert hits, f"{place} lies on no way of this test"


@pytest.mark.parametrize("kind", ["kernel"])
@pytest.mark.parametrize("place", [name for name, fails in SHIM.items() if fails])
def test_shim_fails(crash_node, pod, kind, place):
    """A DEL that cannot be handed over or spooled has succeeded for the runtime."""
    hits = 0
    for way in (shim_in_delete, shim_in_spooled_delete):
        hits += way(crash_node, pod, f"error@{place}")
        crash_node.restart()  # carries out what was spooled
        crash_node.settles(pod, ABSENT, PRESENT[kind])
        expect_clean_end(crash_node, pod, kind)
    assert hits, f"{place} lies on no way of this test"


# One place in each of weir-control's threads: the loop, the pool, the dataplane's session.
@pytest.mark.parametrize("kind", ["kernel"])
@pytest.mark.parametrize("place", ["server.request_read", "add.link_made", "add.port_wanted"])
def test_status_answers_while_control_hangs(crash_node, pod, kind, place):
    injected = f"hang@{place}"
    crash_node.log.write_text("")
    crash_node.restart(injected)
    with ThreadPoolExecutor(1) as background:
        adding = background.submit(add, pod)
        wait_for(lambda: crash_node.reached(injected), 10, "the place")
        started = time.monotonic()
        answer = crash_node.node.cni("STATUS", conf=crash_node.node.cni_conf("1.1.0"))
        assert time.monotonic() - started < 2
        assert answer.code == 0 or answer.json["code"] == 50, answer
        crash_node.kill()
        answer = adding.result()
    assert answer.json["code"] == 11, answer
    crash_node.start()
    crash_node.settles(pod, ABSENT)
    expect_clean_end(crash_node, pod, kind)
