#!/usr/bin/python3
"""Latency of CNI ADD and DEL: weir-cni beside the bridge and host-local plugins.

Both are spawned in the same way (posix_spawn, stdin from a file, stdout read to its end)
by the same process in the same run, taking turns. One IPv4 address a pod for both: with
IPv6 the bridge plugin would wait for duplicate address detection. Needs root, a build
and Debian's containernetworking-plugins.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests" / "e2e"))

from lab.netns import Netns  # noqa: E402
from lab.node import Node, node_config  # noqa: E402

RIVAL_DIR = Path("/usr/lib/cni")
IFNAME = "eth0"


class Plugin:
    """A plugin with its configuration and the environment of its calls."""

    def __init__(self, name, program, config, variables, home):
        self.name = name
        self.program = str(program)
        self.variables = variables
        self.config = home / f"{name}.json"
        self.config.write_text(json.dumps(config))

    def call(self, command, container, netns):
        """One spawn to its exit: seconds, and what it printed when it failed."""
        environment = self.variables | {
            "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": netns,
            "CNI_IFNAME": IFNAME, "CNI_PATH": str(RIVAL_DIR),
        }
        reader, writer = os.pipe2(os.O_CLOEXEC)
        started = time.perf_counter()
        child = os.posix_spawn(self.program, [self.program], environment, file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, str(self.config), os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1)])
        os.close(writer)
        with os.fdopen(reader, "rb") as output:
            printed = output.read()
        _, status = os.waitpid(child, 0)
        seconds = time.perf_counter() - started
        if status != 0:
            raise SystemExit(f"{self.name} {command}: {printed.decode(errors='replace')}")
        return seconds


def weir_plugin(node, home):
    variables = {"WEIR_RUN_DIR": str(node.run_dir), "WEIR_STATE_DIR": str(node.state_dir)}
    return Plugin("weir", node.program["cni"], node.cni_conf(), variables, home)


def bridge_plugin(home):
    config = {
        "cniVersion": "1.0.0", "name": "rival", "type": "bridge", "bridge": "cnibr0",
        "isGateway": True,
        "ipam": {"type": "host-local", "dataDir": str(home / "host-local"),
                 "ranges": [[{"subnet": "10.9.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    return Plugin("bridge", RIVAL_DIR / "bridge", config, {"PATH": os.environ["PATH"]}, home)


def serial(plugins, spaces, rounds):
    """Seconds by plugin and verb; who goes first changes with each round."""
    times = {plugin.name: {"ADD": [], "DEL": []} for plugin in plugins}
    for number in range(rounds):
        order = plugins if number % 4 in (0, 3) else plugins[::-1]
        for command in ("ADD", "DEL"):
            for plugin in order:
                space = spaces[plugin.name][number % len(spaces[plugin.name])]
                seconds = plugin.call(command, f"serial-{number}", space.path)
                times[plugin.name][command].append(seconds)
    return times


def together(plugin, command, spaces, workers):
    """All namespaces once, so many calls at a time: wall seconds and each call's."""
    left = list(enumerate(spaces))
    times = []
    failures = []
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not left:
                    return
                number, space = left.pop()
            try:
                times.append(plugin.call(command, f"parallel-{number}", space.path))
            except SystemExit as failure:
                failures.append(str(failure))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(failures[0])
    return time.perf_counter() - started, times


def quantiles(times):
    ordered = sorted(times)
    return {"p50_ms": 1e3 * statistics.median(ordered),
            "p99_ms": 1e3 * ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]}


def measure(plugins, spaces, options):
    results = {"serial": {}, "parallel": {}, "at_once": {}}
    serial(plugins, spaces, 3)  # the bridge and both programs' pages are there from now on
    times = serial(plugins, spaces, options.rounds)
    for plugin in plugins:
        results["serial"][plugin.name] = {
            command: quantiles(list_) for command, list_ in times[plugin.name].items()}
    for key, workers in (("parallel", 10), ("at_once", options.pods)):
        for plugin in plugins:
            results[key][plugin.name] = {}
            for command in ("ADD", "DEL"):
                wall, each = together(plugin, command, spaces[plugin.name], workers)
                results[key][plugin.name][command] = quantiles(each) | {
                    "per_second": len(each) / wall}
    return results


def table(results):
    rows = ["| what | verb | weir | bridge + host-local | ratio |", "|---|---|---|---|---|"]
    for key, unit, title in (("serial", "p50_ms", "one by one, p50 ms"),
                             ("serial", "p99_ms", "one by one, p99 ms"),
                             ("parallel", "per_second", "10 in parallel, per second"),
                             ("at_once", "p99_ms", "all at once, p99 ms")):
        for command in ("ADD", "DEL"):
            ours = results[key]["weir"][command][unit]
            theirs = results[key]["bridge"][command][unit]
            rows.append(f"| {title} | {command} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.2f} |")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200, help="pairs of ADD and DEL one by one")
    parser.add_argument("--pods", type=int, default=110, help="namespaces for the parallel runs")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="weir-cni-bench-"))
    node = Node(node_config(network={"pod_cidrs": ["10.244.0.0/16"]}))
    made = []
    try:
        node.up()
        plugins = [weir_plugin(node, home), bridge_plugin(home)]
        spaces = {}
        for plugin in plugins:
            spaces[plugin.name] = [Netns(plugin.name) for _ in range(options.pods)]
            made += spaces[plugin.name]
        with node.netns.entered():  # the bridge lives beside weir's own interface
            results = measure(plugins, spaces, options)
        print(table(results))
        if options.json:
            options.json.write_text(json.dumps(results, indent=2))
    finally:
        for space in made:
            space.delete()
        node.close()
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
