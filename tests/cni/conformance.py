"""The lines of the conformance contract, and what each case saw.

A test names its line by `@line("1.stdin")`; `saw()` keeps what it expected and saw. At the
end every case is printed with both, and a line without a case is an error.
"""

import pytest

LINES = {
    "1.command": "an unknown or missing command is code 4",
    "1.variables": "required variables by command; all missing ones in one code-4 error",
    "1.names": "container id and interface name: code 4",
    "1.args": "CNI_ARGS: unknown keys are an error unless IgnoreUnknown is 1 or true",
    "1.path": "CNI_PATH is needed only when IPAM is delegated",
    "1.order": "environment, stdin, JSON, name, version, work: in this order",
    "1.netns": "the own namespace is code 8 unless CNI_NETNS_OVERRIDE is 1 or true",
    "1.stdin": "bounds; keys match in any case, the last duplicate wins; unknown ones are ignored",
    "1.name": "missing or bad network name: code 7",
    "1.version": "VERSION; absent cniVersion is 0.1.0; the input's version is echoed",
    "1.verbs": "verbs exist since their version, else code 1",
    "1.errors": "stdout is empty or one object {cniVersion, code, msg, details}; logs on stderr",
    "1.delete": "DEL succeeds whatever is missing, the daemon too",
    "1.status": "STATUS answers within 2 s whatever hangs; 50 when the daemon is away",
    "1.gc": "GC takes a list, [] and null, and no key",
    "1.delegate": "a delegate gets the same stdin and environment",
    "1.capabilities": "runtimeConfig as runtimes write it; wrong types 6, wrong values 7",
    "1.results": "prevResult of any version",
    "2.killed": "the plugin may be killed at any instant",
    "2.parallel": "110 requests at once",
    "2.repeated": "DEL comes again, without netns and prevResult",
    "2.install": "the ready-made network configuration; the program stands alone and starts fast",
    "6.id": "bad container ids",
    "6.ifname": "bad interface names",
    "6.stdin": "malformed, truncated, endless, deep, never closed, not UTF-8",
    "6.name": "bad network names",
    "6.version": "unknown versions",
    "6.netns": "namespaces that are missing, files, FIFOs, links or the host's",
    "6.ipam": "ipam.type that is a path",
    "6.args": "malformed CNI_ARGS",
    "6.state": "state directory that is read-only or full",
    "6.socket": "partial frames, oversize lengths, other protocols, slow peers",
}

line = pytest.mark.line

_seen = []
_runs = []


def saw(expected, seen):
    _seen.append((expected, seen))


def ran(seen):
    """Every run of the shim; stands for cases that compare more than a code."""
    _runs.append(f"status {seen.status}, {len(seen.stdout)} bytes, {seen.seconds:.2f} s")


def taken():
    """What was seen since the last call."""
    seen = list(_seen) or [("what the test asserts", ", ".join(_runs[-3:]) or "just that")]
    _seen.clear()
    _runs.clear()
    return seen
