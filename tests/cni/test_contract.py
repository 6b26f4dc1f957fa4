"""Lines of the contract that need a stand-in for the daemon or have many small cases."""

import json

import pytest

from conformance import LINES, line, saw
from shim_harness import config, replies

RESULT = {"cniVersion": "1.1.0", "ips": [{"address": "10.244.0.2/32"}]}


def expect(seen, code):
    saw(f"code {code}", f"code {seen.code}")
    assert seen.code == code, f"expected code {code}, saw {seen}"


# -- what needs no attachment ------------------------------------------------------------

@line("1.variables")
@pytest.mark.parametrize("command", ["GC", "STATUS"])
def test_needs_no_variable_but_the_command(shim, daemon, command):
    daemon(replies({"result": {"stdout": None}}))
    expect(shim(command, config()), 0)


@line("1.version")
@pytest.mark.parametrize("stdin", [b"", b"nonsense", b'{"cniVersion":"9.9.9"}'])
@pytest.mark.parametrize("variables", [{}, {"CNI_CONTAINERID": "../x", "CNI_IFNAME": "a/b"}])
def test_version_looks_at_nothing_else(shim, stdin, variables):
    expect(shim("VERSION", stdin, **variables), 0)


# -- values that must pass ------------------------------------------------------------------

GOOD = {
    "id-255": ("1.names", {"CNI_CONTAINERID": "a" * 255}),
    "id-one": ("1.names", {"CNI_CONTAINERID": "0"}),
    "id-marks": ("1.names", {"CNI_CONTAINERID": "a_b.c-d"}),
    "ifname-15": ("1.names", {"CNI_IFNAME": "0123456789abcde"}),
    "ifname-unusual": ("1.names", {"CNI_IFNAME": "eth0@if7"}),
    "args-empty": ("1.args", {"CNI_ARGS": ""}),
    "args-known": ("1.args", {"CNI_ARGS": "K8S_POD_NAME=a;K8S_POD_NAMESPACE=b;K8S_POD_UID=c;"
                                          "K8S_POD_INFRA_CONTAINER_ID=d"}),
    "args-address": ("1.args", {"CNI_ARGS": "IP=10.244.0.9;MAC=02:00:00:00:00:09"}),
    "args-ignored-1": ("1.args", {"CNI_ARGS": "IgnoreUnknown=1;FOO=bar"}),
    "args-ignored-true": ("1.args", {"CNI_ARGS": "FOO=bar;IgnoreUnknown=true"}),
    "args-empty-value": ("1.args", {"CNI_ARGS": "IgnoreUnknown=1;FOO="}),
    "path-absent": ("1.path", {"CNI_PATH": None}),
    "path-odd": ("1.path", {"CNI_PATH": ":::/nowhere"}),
}


@pytest.mark.parametrize("variables", [
    pytest.param(variables, id=name, marks=line(key)) for name, (key, variables) in GOOD.items()])
def test_good_variables_pass(shim, daemon, variables):
    daemon(replies({"result": {"stdout": RESULT}}))
    expect(shim("ADD", config(), **variables), 0)


TEXTS = {
    "upper-case-keys": ("1.stdin", '{"CNIVERSION":"1.0.0","NAME":"net","Type":"weir-cni"}', 0),
    "last-duplicate-wins": ("1.stdin", '{"cniVersion":"9.9.9","name":"net","CniVersion":"1.0.0"}', 0),
    "last-duplicate-is-bad": ("1.stdin", '{"cniVersion":"1.0.0","name":"net","cniversion":"9"}', 1),
    "unknown-keys": ("1.stdin", '{"cniVersion":"1.0.0","name":"net","x":{"y":[null,1.5e300]}}', 0),
    "null-values": ("1.stdin", '{"cniVersion":"1.0.0","name":"net","ipam":null,"dns":null}', 0),
    "white-space": ("1.stdin", '\r\n\t {"cniVersion":"1.0.0","name":"net"} \n', 0),
    "unicode": ("1.stdin", '{"cniVersion":"1.0.0","name":"net","x":"\\u00e9\\ud83d\\ude00\u00e9"}', 0),
    "name-255": ("1.name", json.dumps(config(name="n" * 255)), 0),
    "name-256": ("1.name", json.dumps(config(name="n" * 256)), 7),
    "name-unicode": ("1.name", json.dumps(config(name="n\u00e9t")), 7),
    "name-null": ("1.name", '{"cniVersion":"1.0.0","name":null}', 7),
    "version-null": ("1.version", '{"cniVersion":null,"name":"net"}', 0),
    "version-trailing": ("6.version", '{"cniVersion":"1.0.0 ","name":"net"}', 1),
    "version-part": ("6.version", '{"cniVersion":"1.0","name":"net"}', 1),
    "depth-bounded": ("6.stdin", json.dumps(config(x=0))[:-1] + ',"y":' + "[" * 200 + "]" * 200
                      + "}", 6),
    "ipam-parent": ("6.ipam", json.dumps(config(ipam={"type": ".."})), 7),
    "ipam-nul": ("6.ipam", json.dumps(config(ipam={"type": "a\0b"})), 7),
    "ipam-number": ("6.ipam", json.dumps(config(ipam={"type": 1})), 6),
    "ipam-builtin": ("1.path", json.dumps(config(ipam={"type": "weir"})), 0),
}


@pytest.mark.parametrize("text, code", [
    pytest.param(text, code, id=name, marks=line(key)) for name, (key, text, code) in TEXTS.items()])
def test_configurations(shim, daemon, text, code):
    daemon(replies({"result": {"stdout": RESULT}}))
    expect(shim("ADD", text), code)


# -- runtimeConfig -----------------------------------------------------------------------------

CAPABILITIES = {
    "ports-go": ({"portMappings": [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp",
                                    "HostIP": ""}]}, 0),
    "ports-protocol": ({"portMappings": [{"hostPort": 1, "containerPort": 1, "protocol": "x"}]}, 7),
    "ports-range": ({"portMappings": [{"hostPort": 65536, "containerPort": 1}]}, 7),
    "ports-no-container": ({"portMappings": [{"hostPort": 80}]}, 7),
    "ports-host-ip": ({"portMappings": [{"hostPort": 1, "containerPort": 1, "hostIP": "x"}]}, 7),
    "ports-object": ({"portMappings": {}}, 6),
    "ports-null": ({"portMappings": None}, 0),
    "bandwidth": ({"bandwidth": {"ingressRate": 1000, "ingressBurst": 8000}}, 0),
    "bandwidth-negative": ({"bandwidth": {"ingressRate": -1}}, 7),
    "bandwidth-text": ({"bandwidth": {"ingressRate": "1000"}}, 6),
    "ips": ({"ips": ["10.244.0.9", "fd00::9/64"]}, 0),
    "ips-number": ({"ips": [1]}, 6),
    "ip-ranges": ({"ipRanges": [[{"subnet": "10.1.0.0/24"}]]}, 0),
    "ip-ranges-object": ({"ipRanges": {}}, 6),
    "mac": ({"mac": "02:00:00:00:00:09"}, 0),
    "mac-number": ({"mac": 2}, 6),
    "dns": ({"dns": {"servers": ["10.0.0.1"], "searches": ["a.b"], "options": ["ndots:5"]}}, 0),
    "dns-text": ({"dns": "10.0.0.1"}, 6),
    "device-id": ({"deviceID": "0000:00:01.0"}, 0),
    "device-info": ({"CNIDeviceInfoFile": "/run/x"}, 0),
    "device-info-list": ({"CNIDeviceInfoFile": []}, 6),
    "annotations": ({"io.kubernetes.cri.pod-annotations": {"a/b": "c"}}, 0),
    "annotations-number": ({"io.kubernetes.cri.pod-annotations": {"a": 1}}, 6),
    "unknown": ({"aliases": {"x": ["y"]}}, 0),
}


@line("1.capabilities")
@pytest.mark.parametrize("runtime, code", CAPABILITIES.values(), ids=CAPABILITIES)
def test_capabilities(shim, daemon, runtime, code):
    daemon(replies({"result": {"stdout": RESULT}}))
    expect(shim("ADD", config(runtimeConfig=runtime)), code)


# -- prevResult ----------------------------------------------------------------------------------

PREVIOUS = {
    "0.2.0": ({"ip4": {"ip": "10.0.0.2/24"}}, 0),
    "0.4.0": ({"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.0.0.2/24"}]}, 0),
    "1.1.0": ({"cniVersion": "1.1.0", "interfaces": [{"name": "x", "mtu": 1400}],
               "ips": [{"address": "10.0.0.2/24", "interface": 0}]}, 0),
    "no-version": ({"ips": [{"address": "10.0.0.2/24"}]}, 0),
    "empty": ({}, 0),
    "null": (None, 0),
    "bad-index": ({"ips": [{"address": "10.0.0.2/24", "interface": 0}]}, 7),
    "bad-address": ({"ips": [{"address": "10.0.0.2"}]}, 6),
    "list": ([], 6),
}


@line("1.results")
@pytest.mark.parametrize("previous, code", PREVIOUS.values(), ids=PREVIOUS)
def test_previous_results(shim, daemon, previous, code):
    daemon(replies({"result": {"stdout": RESULT}}))
    text = json.dumps(config() | {"prevResult": previous})
    expect(shim("ADD", text), code)


# -- GC ----------------------------------------------------------------------------------------------

ATTACHMENTS = {
    "none": ([], 0),
    "null": (None, 0),
    "one": ([{"containerID": "a", "ifname": "eth0"}], 0),
    "object": ({}, 6),
    "text": (["a"], 6),
    "no-ifname": ([{"containerID": "a"}], 7),
}


@line("1.gc")
@pytest.mark.parametrize("valid, code", ATTACHMENTS.values(), ids=ATTACHMENTS)
def test_valid_attachments(shim, daemon, valid, code):
    daemon(replies({"result": {"stdout": None}}))
    text = json.dumps(config() | {"cni.dev/valid-attachments": valid})
    expect(shim("GC", text), code)


# -- delegation -------------------------------------------------------------------------------------

@line("1.delegate")
def test_the_whole_environment_goes_along_when_ipam_is_delegated(shim, daemon):
    fake = daemon(replies({"result": {"stdout": RESULT}}))
    expect(shim("ADD", config(ipam={"type": "host-local"}), CNI_PATH="/opt/cni/bin", OTHER="a=b"), 0)
    handed = dict(one.split("=", 1) for one in fake.requests[0]["params"]["environment"])
    expected = shim.environment("ADD", CNI_PATH="/opt/cni/bin", OTHER="a=b")
    saw(len(expected), len(handed))
    assert handed == expected


@line("1.delegate")
@pytest.mark.parametrize("ipam", [None, {}, {"type": "weir"}])
def test_no_environment_goes_along_otherwise(shim, daemon, ipam):
    fake = daemon(replies({"result": {"stdout": RESULT}}))
    expect(shim("ADD", config(ipam=ipam), SECRET="x"), 0)
    assert "environment" not in fake.requests[0]["params"]


@line("1.path")
@pytest.mark.parametrize("command, code", [("ADD", 4), ("CHECK", 4), ("DEL", 0)])
def test_path_of_a_delegate(shim, daemon, command, code):
    daemon(replies({"result": {"stdout": None}}))
    seen = shim(command, config(ipam={"type": "host-local"}), CNI_PATH=None)
    expect(seen, code)
    assert code == 0 or "CNI_PATH" in seen.object["msg"]


# -- the contract itself -----------------------------------------------------------------------------

@line("1.errors")
def test_every_line_has_a_case(request):
    used = {item.get_closest_marker("line").args[0] for item in request.session.items}
    if len(used) < 5:
        pytest.skip("only a part of the suite runs")
    saw("no line without a case", sorted(set(LINES) - used) or "none")
    assert set(LINES) == used
