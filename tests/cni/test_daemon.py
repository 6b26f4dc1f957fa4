"""The way to weir-control: hand-over, hanging and misbehaving daemons, the spool."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from conformance import line, saw
from shim_harness import SHIM, config, frame, replies

RESULT = {"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/pod"}],
          "ips": [{"address": "10.244.0.2/32", "interface": 0}]}


def expect_code(seen, code):
    saw(f"code {code}", f"code {seen.code}")
    assert seen.code == code, f"expected code {code}, saw {seen}"


# -- hand-over ---------------------------------------------------------------------------

@line("1.errors")
def test_add_hands_everything_over_and_prints_the_result(shim, daemon):
    fake = daemon(replies({"result": {"stdout": RESULT}}))
    text = json.dumps(config(port="memif")) + "\n  "
    seen = shim("ADD", text, CNI_ARGS="IgnoreUnknown=1;A=b", CNI_PATH="/opt/cni/bin",
                CNI_NETNS_OVERRIDE="1")
    expect_code(seen, 0)
    assert seen.object == RESULT, seen
    assert seen.stderr == "", seen
    expected = {"method": "cni.add",
                "params": {"containerId": "c0ffee", "netns": shim.netns, "ifname": "eth0",
                           "args": "IgnoreUnknown=1;A=b", "path": "/opt/cni/bin",
                           "netnsOverride": True, "config": text}}
    assert fake.requests == [expected], f"expected {expected}, saw {fake.requests}"


@line("1.errors")
@pytest.mark.parametrize("command", ["DEL", "CHECK", "GC", "STATUS"])
def test_other_commands_print_nothing(shim, daemon, command):
    fake = daemon(replies({"result": {"stdout": None}}))
    seen = shim(command, config())
    assert (seen.status, seen.stdout) == (0, ""), seen
    assert [request["method"] for request in fake.requests] == ["cni." + command.lower()]
    assert shim.spooled() == []


@line("1.errors")
@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK", "GC", "STATUS"])
@pytest.mark.parametrize("code", [3, 7, 51, 123])
def test_errors_of_the_daemon_reach_the_runtime(shim, daemon, command, code):
    daemon(replies({"error": {"code": code, "msg": "no", "details": "why"}}))
    seen = shim(command, config())
    expected = {"cniVersion": "1.1.0", "code": code, "msg": "no", "details": "why"}
    assert (seen.status, seen.object) == (1, expected), seen
    assert shim.spooled() == []


@line("1.stdin")
def test_a_large_configuration_and_result_pass(shim, daemon):
    result = {"cniVersion": "1.1.0", "dns": {"search": ["x" * 1000] * 4000}}
    fake = daemon(replies({"result": {"stdout": result}}))
    seen = shim("ADD", config(filler="y" * (7 << 20)), timeout=30)
    expect_code(seen, 0)
    assert seen.object == result
    assert len(fake.requests[0]["params"]["config"]) > 7 << 20


@line("2.parallel")
def test_110_parallel_requests_each_get_their_own_answer(shim, daemon):
    def echo(connection, request):
        result = {"cniVersion": "1.0.0", "id": request["params"]["containerId"]}
        connection.sendall(frame({"result": {"stdout": result}}))
    daemon(echo)
    running = {f"pod-{i}": shim.start("ADD", CNI_CONTAINERID=f"pod-{i}") for i in range(110)}
    text = json.dumps(config()).encode()
    for process in running.values():
        process.stdin.write(text)
        process.stdin.close()
    for name, process in running.items():
        with process:
            assert json.loads(process.stdout.read())["id"] == name
        assert process.returncode == 0


# -- daemons that misbehave ----------------------------------------------------------------

GOOD = frame({"result": {"stdout": RESULT}})
BROKEN = {
    "closes-at-once": (b"", 11),
    "partial-header": (GOOD[:7], 11),
    "header-only": (GOOD[:12], 11),
    "partial-body": (GOOD[:-5], 11),
    "oversize": (frame(b"", length=(9 << 20) + 1), 5),
    "huge": (frame(b"", length=0xFFFFFFFF), 5),
    "wrong-magic": (frame({"result": {}}, magic=b"HTTP"), 5),
    "wrong-version": (frame({"result": {}}, version=2), 5),
    "wrong-kind": (frame({"result": {}}, kind=1), 5),
    "empty-body": (frame(b""), 5),
    "not-json": (frame(b"hello"), 5),
    "not-an-object": (frame([1]), 5),
    "neither": (frame({"answer": 1}), 5),
    "deep": (frame(b"[" * 100_000), 5),
    "invalid-utf8": (frame(b'{"result":{"stdout":{"x":"\xff"}}}'), 5),
    "nul": (frame(b'{"result":{"stdout":null}}\0'), 5),
    "error-no-object": (frame({"error": "x"}), 5),
    "error-no-code": (frame({"error": {"msg": "x"}}), 5),
    "error-code-zero": (frame({"error": {"code": 0, "msg": "x"}}), 5),
    "error-code-text": (frame({"error": {"code": "7", "msg": "x"}}), 5),
    "no-result": (frame({"result": {"stdout": None}}), 5),
    "result-list": (frame({"result": {"stdout": [1]}}), 5),
}


@line("6.socket")
@pytest.mark.parametrize("body, code", BROKEN.values(), ids=BROKEN)
def test_add_survives_a_broken_answer(shim, daemon, body, code):
    daemon(replies(body))
    expect_code(shim("ADD", config()), code)


@line("6.socket")
@pytest.mark.parametrize("name", [key for key in BROKEN if key not in ("no-result",
                                                                      "result-list")])
def test_del_and_status_survive_a_broken_answer(shim, daemon, name):
    daemon(replies(BROKEN[name][0]))
    expect_code(shim("STATUS", config()), 50)
    seen = shim("DEL", config())
    assert (seen.status, seen.stdout) == (0, ""), seen
    assert len(shim.spooled()) == 1


# -- time bounds ---------------------------------------------------------------------------

@line("1.status")
def test_status_answers_within_2_s_when_the_daemon_hangs(shim, daemon):
    fake = daemon(lambda connection, request: fake.hang(connection, request))
    seen = shim("STATUS", config())
    expect_code(seen, 50)
    assert seen.seconds < 2, f"expected less than 2 s, saw {seen}"


@line("1.status")
def test_status_answers_within_2_s_when_the_daemon_drips(shim, daemon):
    def drip(connection, request):
        for byte in GOOD:
            connection.sendall(bytes([byte]))
            if fake.stopping.wait(0.3):
                return
    fake = daemon(drip)
    seen = shim("STATUS", config())
    expect_code(seen, 50)
    assert seen.seconds < 2, f"expected less than 2 s, saw {seen}"


@line("1.status")
def test_status_answers_within_2_s_when_nobody_accepts(shim):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(str(shim.run_dir / "cni.sock"))
        listener.listen(0)
        waiting.connect(listener.getsockname())  # fills the queue
        seen = shim("STATUS", config())
    expect_code(seen, 50)
    assert seen.seconds < 2, f"expected less than 2 s, saw {seen}"


@line("6.socket")
def test_add_del_and_check_are_bounded_when_the_daemon_hangs(shim, daemon):
    """The one slow test: it waits for the bounds themselves, all three at once."""
    fake = daemon(lambda connection, request: fake.hang(connection, request))
    text = json.dumps(config()).encode()
    started = time.monotonic()
    running = {}
    for command, bound in (("DEL", 32), ("ADD", 62), ("CHECK", 62)):
        process = shim.start(command)
        process.stdin.write(text)
        process.stdin.close()
        running[command] = (process, bound)
    for command, (process, bound) in running.items():
        with process:
            process.wait(timeout=started + bound - time.monotonic())
            output = process.stdout.read()
        if command == "DEL":
            assert (process.returncode, output) == (0, b"")
            assert len(shim.spooled()) == 1
        else:
            assert json.loads(output)["code"] == 11, output


# -- daemon away: the spool --------------------------------------------------------------------

@line("1.delete")
def test_del_without_daemon_is_kept_durably(shim):
    text = json.dumps(config(prevResult={"ips": [{"address": "10.0.0.2/24"}]}))
    seen = shim("DEL", text, CNI_ARGS="a=b=c", CNI_PATH="/opt/cni/bin")
    assert (seen.status, seen.stdout) == (0, ""), seen
    assert "waits" in seen.stderr, seen
    (entry,) = shim.spooled()
    assert entry.suffix == ".json" and entry.stat().st_mode & 0o777 == 0o600
    assert json.loads(entry.read_text()) == {
        "containerId": "c0ffee", "netns": shim.netns, "ifname": "eth0", "args": "a=b=c",
        "path": "/opt/cni/bin", "netnsOverride": False, "config": text}


@line("2.repeated")
def test_repeated_dels_keep_one_entry_an_attachment(shim):
    for _ in range(3):
        expect_code(shim("DEL", config()), 0)
        expect_code(shim("DEL", config(), CNI_IFNAME="eth1"), 0)
        expect_code(shim("DEL", config(name="other")), 0)
    assert len(shim.spooled()) == 3


@line("1.delete")
def test_a_socket_without_a_listener_counts_as_away(shim):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(shim.run_dir / "cni.sock"))
    expect_code(shim("ADD", config()), 11)
    expect_code(shim("DEL", config()), 0)
    assert len(shim.spooled()) == 1


@line("6.socket")
def test_run_directory_that_is_too_long_for_a_socket(shim):
    directory = "/tmp/" + "x" * 100
    expect_code(shim("ADD", config(), WEIR_RUN_DIR=directory), 5)
    expect_code(shim("STATUS", config(), WEIR_RUN_DIR=directory), 50)
    expect_code(shim("DEL", config(), WEIR_RUN_DIR=directory), 0)


@line("6.state")
@pytest.mark.parametrize("directory", ["/proc/weir", "/dev/null/weir", "/missing/too/weir"])
def test_del_succeeds_when_the_state_directory_is_unwritable(shim, directory):
    seen = shim("DEL", config(), WEIR_STATE_DIR=directory)
    assert (seen.status, seen.stdout) == (0, ""), seen
    assert "not recorded" in seen.stderr, f"expected a warning, saw {seen}"


@line("6.state")
@pytest.mark.parametrize("options", ["size=4k,nr_inodes=8", "ro"], ids=["full", "read-only"])
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a tmpfs")
def test_del_succeeds_on_a_full_or_read_only_disk(shim, options):
    state = shim.state_dir
    (state / "spool").mkdir(parents=True)
    script = (f'mount -t tmpfs -o {options} tmpfs "{state}"; '
              f'head -c 8192 /dev/zero > "{state}/filler" 2>/dev/null; '
              f'"{SHIM}"; echo "status $?"; ls "{state}/spool" 2>/dev/null')
    seen = subprocess.run(["unshare", "--mount", "sh", "-c", script], input=json.dumps(config()),
                          env={**os.environ, **shim.environment("DEL")}, text=True, timeout=20,
                          capture_output=True, check=False)
    assert seen.stdout == "status 0\n", f"expected success and no remains, saw {seen}"
    assert "not recorded" in seen.stderr, seen


@line("2.killed")
def test_a_killed_del_leaves_no_torn_entry(shim):
    text = json.dumps(config(filler="z" * 100_000)).encode()
    for step in range(40):
        process = shim.start("DEL", CNI_CONTAINERID=f"pod-{step}")
        with process:
            process.stdin.write(text)
            process.stdin.close()
            time.sleep(step * 0.0002)  # not a wait: spreads the kills over the whole run
            process.send_signal(signal.SIGKILL)
    for entry in shim.spooled():
        if entry.suffix == ".json":
            assert json.loads(entry.read_text())["config"] == text.decode()


# -- the program ---------------------------------------------------------------------------------

def needed_libraries():
    listing = subprocess.run(["readelf", "--dynamic", SHIM], capture_output=True, text=True,
                             check=True).stdout
    return [line.split("[")[1].rstrip("]") for line in listing.splitlines() if "(NEEDED)" in line]


@line("2.install")
def test_links_neither_dpdk_nor_boost():
    foreign = [name for name in needed_libraries() if "rte" in name or "boost" in name]
    assert foreign == [], f"expected no library of DPDK or Boost, saw {needed_libraries()}"
    symbols = subprocess.run(["nm", "--demangle", SHIM], capture_output=True, text=True,
                             check=True).stdout
    assert "rte_eal_init" not in symbols and "boost::" not in symbols


@line("2.install")
def test_starts_in_under_2_ms(shim):
    if needed_libraries():
        pytest.skip("a sanitizer build is not linked statically")
    environment = shim.environment("VERSION")
    sink = os.open("/dev/null", os.O_RDWR)
    times = []
    for _ in range(200):
        started = time.perf_counter()
        child = os.posix_spawn(SHIM, [SHIM], environment, file_actions=[
            (os.POSIX_SPAWN_DUP2, sink, 1)])
        os.waitpid(child, 0)
        times.append(time.perf_counter() - started)
    os.close(sink)
    best, median = min(times) * 1000, sorted(times)[100] * 1000
    print(f"VERSION, process start and end included: best {best:.2f} ms, median {median:.2f} ms")
    # The best of many: this machine may be busy, the program's own cost is in every run.
    assert best < 2, f"expected less than 2 ms, saw {best:.2f} ms at best"


@line("2.install")
def test_conflist_names_this_plugin():
    path = pathlib.Path(__file__).parents[2] / "config" / "10-weir.conflist"
    conflist = json.loads(path.read_text())
    assert conflist["cniVersion"] == "1.0.0" and conflist["name"] == "weir"
    assert [plugin["type"] for plugin in conflist["plugins"]] == ["weir-cni"]
