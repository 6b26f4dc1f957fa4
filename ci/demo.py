"""The demo's second half, once packages and programs are there; run by ci/demo."""

import re
import signal
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))

from lab.node import Node  # noqa: E402
from lab.pod import KernelPod, MemifPod  # noqa: E402
from lab.run import wait_for  # noqa: E402
from lab.testpmd import Testpmd  # noqa: E402

FAMILIES = (4, 6)
SECONDS = 2
UDP_RATE = "200M"


def step(text):
    print(f"==> {text}", flush=True)


def show(text):
    print(textwrap.indent(text.rstrip(), "    "), flush=True)


def ping(source, address):
    """Pings; the average round trip as text."""
    done = source.run("ping", "-n", "-q", "-c", "20", "-i", "0.05", "-W", "2", address)
    if " 0% packet loss" not in done.stdout:
        raise AssertionError(f"packets were lost:\n{done.stdout}")
    average = re.search(r"= [\d.]+/([\d.]+)/", done.stdout).group(1)
    return f"{float(average) * 1000:.0f} us"


def tcp(source, destination, family):
    report = source.iperf_to(destination, family, seconds=SECONDS)
    return f"{report['end']['sum_received']['bits_per_second'] / 1e9:.2f} Gb/s"


def udp(source, destination, family):
    report = source.iperf_to(
        destination, family, "-u", "-b", UDP_RATE, "-l", "1200", seconds=SECONDS
    )
    total = report["end"]["sum"]
    rate = total["bits_per_second"] * (1 - total["lost_percent"] / 100) / 1e6
    return f"{rate:.0f} Mb/s, {total['lost_percent']:.2g} % lost"


class Summary:
    def __init__(self):
        self.lines = [("", "IPv4", "IPv6")]

    def measure(self, title, function):
        """One row: the function for each family."""
        step(title)
        values = [function(family) for family in FAMILIES]
        show("   ".join(values))
        self.lines.append((title, *values))

    def text(self):
        widths = [max(map(len, column)) + 3 for column in zip(*self.lines)]
        return "\n".join(
            "".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
            for line in self.lines
        )


def start_node(stack):
    step("node: weir-dataplane and weir-control")
    node = Node()
    stack.callback(node.close)
    show(node.up().stdout)
    return node


def add_pod(stack, kind, node, name):
    pod = kind(node, name, args=f"K8S_POD_NAMESPACE=demo;K8S_POD_NAME={name};IgnoreUnknown=1")
    stack.callback(pod.close)
    pod.add()
    where = getattr(pod, "socket_path", None) or f"interface {pod.ifname} in its namespace"
    show(f"{name:<6} {pod.ip4:<12} {pod.ip6:<18} {pod.mac}  {where}")
    return pod


def use_memif(node, client, memif, summary):
    with Testpmd(memif, "icmpecho"):
        wait_for(lambda: node.ports()[memif.ip4]["link"] == "up", 10, "the memif link")
        step("ping a -> memif (dpdk-testpmd answers)")
        answer = ping(client, memif.ip4)
        show(answer)
        # testpmd's icmpecho mode speaks ARP and IPv4 only.
        summary.lines.append(("ping a -> memif (dpdk-testpmd answers)", answer, "-"))


def demo(stack):
    node = start_node(stack)
    step("pods: weir-cni ADD, environment and stdin as a runtime gives them")
    a = add_pod(stack, KernelPod, node, "a")
    b = add_pod(stack, KernelPod, node, "b")
    memif = add_pod(stack, MemifPod, node, "memif")
    summary = Summary()
    summary.measure("ping a -> b", lambda family: ping(a, b.addresses[family]))
    summary.measure("TCP  a -> b (iperf3)", lambda family: tcp(a, b, family))
    summary.measure("UDP  a -> b (iperf3)", lambda family: udp(a, b, family))
    use_memif(node, a, memif, summary)
    print("\nSummary")
    show(summary.text())
    print("\nWhere each packet went")
    for command in (("port", "list"), ("worker", "show"), ("drop", "list")):
        print(f"  weirctl {' '.join(command)}")
        show(node.ctl_raw(*command).stdout)


def interrupted(number, _):
    raise SystemExit(128 + number)


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    status = 0
    with ExitStack() as stack:
        try:
            demo(stack)
        except SystemExit as stop:
            status = stop.code
        except Exception as error:  # whatever failed is shown, and cleaned up after
            status = 1
            print(f"ci/demo: {error}", file=sys.stderr)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        print("\n==> cleaning up", flush=True)
    ending = {0: "finished", 1: "failed"}.get(status, "interrupted")
    print(f"demo {ending}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
