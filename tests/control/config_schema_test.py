#!/usr/bin/env python3
"""config/weir.schema.json accepts the example and refuses what the loader refuses."""
import json
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    print("SKIP: python3-jsonschema is not installed")
    sys.exit(77)

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "config"

GOOD = [
    {},
    {"control": {"metrics": ""}},
    {"control": {"metrics": "[::1]:9470"}},
    {"dataplane": {"workers": [0, 1], "hugepages": "off"}},
    {"network": {"mtu": 9000, "pod_cidrs": ["10.0.0.0/16"]}},
    {"network": {"uplinks": [{"name": "u", "devargs": "net_null0", "addresses": ["192.0.2.1/24"], "mtu": 1500}]}},
    {"network": {"routes": [{"prefix": "10.244.1.0/24", "via": "192.0.2.2"}]}},
    {"network": {"routes": [{"prefix": "::/0", "via": ["fd00::1", {"address": "fd00::2", "weight": 2}]}]}},
    {"network": {"kernel_routes": {"table": 100, "protocols": ["bird", 99]}}},
]
BAD = [
    [],
    {"netwrok": {}},
    {"network": {"mtuu": 1}},
    {"network": {"mtu": "1500"}},
    {"network": {"mtu": 65536}},
    {"network": {"name": "../x"}},
    {"network": {"socket_mode": "4755"}},
    {"network": {"host_interface": "a/b"}},
    {"network": {"pod_cidrs": []}},
    {"network": {"uplinks": [{"name": "u", "devargs": "net_null0"}]}},
    {"network": {"uplinks": [{"name": "u", "devargs": "net_null0", "addresses": ["192.0.2.1"]}]}},
    {"network": {"routes": [{"prefix": "10.244.1.0/24"}]}},
    {"network": {"routes": [{"prefix": "::/0", "via": []}]}},
    {"network": {"kernel_routes": {"protocols": ["kernel"]}}},
    {"dataplane": {"workers": []}},
    {"dataplane": {"workers": [0, 0]}},
    {"dataplane": {"hugepages": "yes"}},
    {"control": {"metrics": "localhost:9470"}},
    {"control": {"log_level": "loud"}},
]


def main() -> int:
    schema = json.loads((CONFIG / "weir.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    failures = []
    for case in GOOD + [json.loads((CONFIG / "weir.json").read_text())]:
        failures += [f"refused {case}: {error.message}" for error in validator.iter_errors(case)]
    failures += [f"accepted {case}" for case in BAD if validator.is_valid(case)]
    print("\n".join(failures) or f"{len(GOOD) + 1 + len(BAD)} documents judged as expected")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
