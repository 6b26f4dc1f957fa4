"""What the shim decides on its own: environment, stdin, configuration, their order."""

import os
import subprocess
import sys

import pytest

from conformance import line, saw
from shim_harness import SHIM, config

VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


def expect_code(seen, code):
    saw(f"code {code}", f"code {seen.code}")
    assert seen.code == code, f"expected code {code}, saw {seen}"
    if code:
        assert seen.stderr, f"expected a log line on stderr, saw {seen}"


# -- VERSION -------------------------------------------------------------------------

@line("1.version")
def test_version_needs_neither_stdin_nor_daemon(shim):
    seen = shim.with_open_stdin("VERSION")
    assert seen.status == 0, seen
    assert seen.object == {"cniVersion": "1.1.0", "supportedVersions": VERSIONS}, seen
    assert seen.stdout.count("\n") == 1, seen


# -- environment (4), before stdin is read ---------------------------------------------

ENVIRONMENT = {
    "no-command": (None, {}),
    "empty-command": ("", {}),
    "unknown-command": ("UPDATE", {}),
    "lower-case-command": ("add", {}),
    "add-no-id": ("ADD", {"CNI_CONTAINERID": None}),
    "add-empty-id": ("ADD", {"CNI_CONTAINERID": ""}),
    "add-no-netns": ("ADD", {"CNI_NETNS": None}),
    "add-no-ifname": ("ADD", {"CNI_IFNAME": None}),
    "check-no-netns": ("CHECK", {"CNI_NETNS": ""}),
    "del-no-id": ("DEL", {"CNI_CONTAINERID": None}),
    "del-no-ifname": ("DEL", {"CNI_IFNAME": None}),
    "id-traversal": ("ADD", {"CNI_CONTAINERID": "../../etc/x"}),
    "id-slash": ("ADD", {"CNI_CONTAINERID": "a/b"}),
    "id-dot": ("ADD", {"CNI_CONTAINERID": ".a"}),
    "id-dash": ("ADD", {"CNI_CONTAINERID": "-a"}),
    "id-space": ("ADD", {"CNI_CONTAINERID": " a"}),
    "id-newline": ("ADD", {"CNI_CONTAINERID": "a\n"}),
    "id-4k": ("ADD", {"CNI_CONTAINERID": "a" * 4096}),
    "id-traversal-del": ("DEL", {"CNI_CONTAINERID": "../../etc/x"}),
    "ifname-16": ("ADD", {"CNI_IFNAME": "0123456789abcdef"}),
    "ifname-dot": ("ADD", {"CNI_IFNAME": "."}),
    "ifname-dots": ("ADD", {"CNI_IFNAME": ".."}),
    "ifname-slash": ("ADD", {"CNI_IFNAME": "a/b"}),
    "ifname-colon": ("ADD", {"CNI_IFNAME": "a:b"}),
    "ifname-space": ("ADD", {"CNI_IFNAME": "a b"}),
    "ifname-not-utf8": ("ADD", {"CNI_IFNAME": b"a\xff"}),
    "args-pair": ("ADD", {"CNI_ARGS": "a=b=c"}),
    "args-no-value": ("ADD", {"CNI_ARGS": "a"}),
    "args-unknown": ("ADD", {"CNI_ARGS": "FOO=bar"}),
    "args-unknown-zero": ("ADD", {"CNI_ARGS": "IgnoreUnknown=0;FOO=bar"}),
}


def environment_line(name):
    """Of the contract, by the case's name."""
    starts = {"id": "6.id", "ifname": "6.ifname", "args-unknown": "1.args", "args": "6.args"}
    found = [key for start, key in starts.items() if name.startswith(start)]
    return found[0] if found else "1.command" if "command" in name else "1.variables"


def cases(table, line_of):
    return [pytest.param(*values, id=name, marks=line(line_of(name)))
            for name, values in table.items()]


@pytest.mark.parametrize("command, changes", cases(ENVIRONMENT, environment_line))
def test_bad_environment_is_refused_before_stdin(shim, command, changes):
    seen = shim.with_open_stdin(command, **changes)
    expect_code(seen, 4)
    assert seen.seconds < 3, f"expected an answer without reading stdin, saw {seen}"


@line("1.variables")
def test_all_missing_variables_are_named_in_one_error(shim):
    seen = shim("ADD", CNI_CONTAINERID=None, CNI_NETNS=None, CNI_IFNAME=None)
    expect_code(seen, 4)
    for name in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"):
        assert name in seen.object["msg"], f"expected {name} in the message, saw {seen}"


# -- stdin (5), JSON (6), name (7), version (1) ------------------------------------------

DOCUMENTS = {
    "empty": (b"", 6),
    "null": (b"null", 6),
    "array": (b"[]", 6),
    "string": (b'"x"', 6),
    "malformed": (b"{nope}", 6),
    "truncated": (b'{"cniVersion":"1.0.0","name":"net"', 6),
    "trailing": (b'{"cniVersion":"1.0.0","name":"net"} x', 6),
    "two-documents": (b'{"cniVersion":"1.0.0","name":"net"}{}', 6),
    "nul-inside": (b'{"cniVersion":"1.0.0","name":"n\0t"}', 6),
    "nul-after": (b'{"cniVersion":"1.0.0","name":"net"}\0', 6),
    "invalid-utf8": (b'{"cniVersion":"1.0.0","name":"net","x":"\xff\xfe"}', 6),
    "invalid-utf8-key": (b'{"cniVersion":"1.0.0","name":"net","\xc3\x28":1}', 6),
    "deep-arrays": (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 6),
    "deep-objects": (b'{"x":' * 100_000 + b"1" + b"}" * 100_000, 6),
    "deep-unclosed": (b"[" * 1_000_000, 6),
    "name-number": (b'{"cniVersion":"1.0.0","name":1}', 6),
    "version-number": (b'{"cniVersion":1,"name":"net"}', 6),
    "no-name": (b'{"cniVersion":"1.0.0"}', 7),
    "empty-name": (b'{"cniVersion":"1.0.0","name":""}', 7),
    "name-traversal": (b'{"cniVersion":"1.0.0","name":"../x"}', 7),
    "name-nul": (b'{"cniVersion":"1.0.0","name":"x\\u0000"}', 7),
    "name-newline": (b'{"cniVersion":"1.0.0","name":"x\\n"}', 7),
    "last-name-wins": (b'{"cniVersion":"1.0.0","name":"x","NAME":"../x"}', 7),
    "version-future": (b'{"cniVersion":"9.9.9","name":"net"}', 1),
    "version-text": (b'{"cniVersion":"abc","name":"net"}', 1),
    "order-json-name": (b'{"cniVersion":"9.9.9","name":"../x"', 6),
    "order-name-version": (b'{"cniVersion":"9.9.9","name":"../x"}', 7),
    "order-version-work": (b'{"cniVersion":"9.9.9","name":"net","port":"nope"}', 1),
    "port": (b'{"cniVersion":"1.0.0","name":"net","port":"nope"}', 7),
    "mtu-small": (b'{"cniVersion":"1.0.0","name":"net","mtu":10}', 7),
    "mtu-text": (b'{"cniVersion":"1.0.0","name":"net","mtu":"1500"}', 6),
    "ipam-evil": (b'{"cniVersion":"1.0.0","name":"net","ipam":{"type":"../evil"}}', 7),
    "ipam-absolute": (b'{"cniVersion":"1.0.0","name":"net","ipam":{"type":"/bin/sh"}}', 7),
    "ipam-list": (b'{"cniVersion":"1.0.0","name":"net","ipam":[]}', 6),
    "delegate-without-path":
        (b'{"cniVersion":"1.0.0","name":"net","ipam":{"type":"host-local"}}', 4),
    "prev-result": (b'{"cniVersion":"1.0.0","name":"net","prevResult":{"ips":[{}]}}', 6),
}


def document_line(name):
    starts = {"order": "1.order", "version-number": "6.stdin", "version": "6.version",
              "last-name": "1.stdin", "ipam": "6.ipam", "delegate": "1.path",
              "prev-result": "1.results", "no-name": "1.name", "empty-name": "1.name",
              "name-number": "6.stdin", "name": "6.name", "port": "1.errors", "mtu": "1.errors"}
    found = [key for start, key in starts.items() if name.startswith(start)]
    return found[0] if found else "6.stdin"


@pytest.mark.parametrize("document, code", cases(DOCUMENTS, document_line))
def test_bad_configuration_is_refused(shim, document, code):
    expect_code(shim("ADD", document), code)
    assert shim.spooled() == []


@line("1.delete")
@pytest.mark.parametrize("document", [DOCUMENTS[key][0] for key in (
    "port", "mtu-small", "mtu-text", "ipam-evil", "ipam-list", "prev-result")])
def test_del_succeeds_where_only_details_are_wrong(shim, document):
    expect_code(shim("DEL", document), 0)
    assert len(shim.spooled()) == 1


@line("1.stdin")
def test_stdin_of_8_mib_is_accepted_and_one_byte_more_is_not(shim):
    document = b'{"cniVersion":"1.0.0","name":"net"}'
    padding = b" " * ((8 << 20) - len(document))
    expect_code(shim("ADD", document + padding), 11)
    expect_code(shim("ADD", document + padding + b" "), 5)


@line("6.stdin")
def test_endless_stdin_is_cut_off(shim):
    generator = subprocess.Popen(
        [sys.executable, "-c", "import os\n"
         "try:\n for _ in range(1024): os.write(1, b'[' * (1 << 20))\n"
         "except BrokenPipeError: pass"], stdout=subprocess.PIPE)
    process = shim.start("ADD", stdin=generator.stdout)
    generator.stdout.close()
    try:
        stdout, _ = process.communicate(timeout=10)
    finally:
        process.kill()
        generator.kill()
        generator.wait()
    assert process.returncode == 1 and b'"code":5' in stdout, stdout


@line("6.stdin")
@pytest.mark.parametrize("command, bound", [("ADD", 8), ("STATUS", 2)])
def test_stdin_that_is_never_closed_ends_in_an_error(shim, command, bound):
    seen = shim.with_open_stdin(command, sent=b'{"cniVersion":"1.1.0","name":"net"}', timeout=20)
    expect_code(seen, 5)
    assert seen.seconds < bound, f"expected an answer within {bound} s, saw {seen}"


@line("1.errors")
def test_closed_standard_streams_do_no_harm(shim):
    seen = subprocess.run(["sh", "-c", f'exec "{SHIM}" <&- 2>&-'], env=shim.environment("ADD"),
                          stdout=subprocess.PIPE, timeout=10, check=False)
    assert seen.returncode == 1 and b'"code":6' in seen.stdout, seen
    seen = subprocess.run(["sh", "-c", f'exec "{SHIM}" >&-'], env=shim.environment("ADD"),
                          input=b"", stderr=subprocess.PIPE, timeout=10, check=False)
    assert seen.returncode == 1, seen


@line("1.errors")
def test_a_reader_that_went_away_does_not_kill_the_shim(shim):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run([SHIM], env=shim.environment("VERSION"), stdout=writer, timeout=10,
                             stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert process.returncode == 1, f"expected exit status 1, saw {process}"


# -- versions and commands -----------------------------------------------------------------

SINCE = {"ADD": "0.1.0", "DEL": "0.1.0", "CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}
DAEMON_AWAY = {"ADD": 11, "DEL": 0, "CHECK": 11, "GC": 11, "STATUS": 50}


@line("1.verbs")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("command", SINCE)
def test_commands_exist_since_their_version(shim, command, version):
    seen = shim(command, config(version))
    known = VERSIONS.index(version) >= VERSIONS.index(SINCE[command])
    expect_code(seen, DAEMON_AWAY[command] if known else 1)
    if seen.code:
        assert seen.object["cniVersion"] == version, f"expected the version echoed, saw {seen}"


@line("1.version")
@pytest.mark.parametrize("version", [None, ""])
def test_absent_version_is_0_1_0(shim, version):
    seen = shim("ADD", config(version))
    expect_code(seen, 11)
    assert seen.object["cniVersion"] == "0.1.0", seen


# -- network namespaces (8) -------------------------------------------------------------------

@pytest.fixture
def odd_paths(tmp_path, namespace):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link-to-file").symlink_to("/etc/passwd")
    (tmp_path / "link-to-pod").symlink_to(namespace.path)
    (tmp_path / "link-to-own").symlink_to("/proc/self/ns/net")
    return tmp_path


NAMESPACES = {"missing": 8, "file": 8, "fifo": 8, "link-to-file": 8, "link-to-own": 8,
              "link-to-pod": 11}


@line("6.netns")
@pytest.mark.parametrize("name, code", NAMESPACES.items(), ids=NAMESPACES)
def test_namespace_of_an_add(shim, odd_paths, name, code):
    expect_code(shim("ADD", config(), CNI_NETNS=str(odd_paths / name)), code)


@line("1.netns")
@pytest.mark.parametrize("command", ["ADD", "CHECK", "DEL"])
def test_own_namespace_is_refused_unless_overridden(shim, command):
    expect_code(shim(command, config(), CNI_NETNS="/proc/self/ns/net"), 8)
    for override in ("1", "true", "TRUE"):
        seen = shim(command, config(), CNI_NETNS="/proc/self/ns/net",
                    CNI_NETNS_OVERRIDE=override)
        expect_code(seen, DAEMON_AWAY[command])


@line("2.repeated")
@pytest.mark.parametrize("name", ["", "/run/netns/gone"])
def test_del_does_not_need_the_namespace(shim, name):
    expect_code(shim("DEL", config(), CNI_NETNS=name), 0)
