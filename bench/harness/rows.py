"""The rows: who is compared with whom, and under which load.

The first contestant of a row is the one the ratios are about: ours / theirs.
"""

from dataclasses import dataclass, replace

from . import probes
from .devices import Weir
from .dpdk import L3fwd, Testpmd
from .generator import Load
from .ovs import Ovs

IMIX = (64,) * 7 + (570,) * 4 + (1518,)
# The smallest frame that holds an IPv6 header and what the sink looks at.
SMALLEST6 = 78


@dataclass(frozen=True)
class Spec:
    """A device and how it is made; the same spec is the same running device."""

    kind: type
    options: tuple = ()

    @classmethod
    def of(cls, kind, **options):
        return cls(kind, tuple(options.items()))

    def make(self):
        return self.kind(**dict(self.options))


@dataclass(frozen=True)
class Contestant:
    label: str
    device: Spec
    load: Load | None = None  # None: the device is a probe, which loads itself


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    contestants: tuple
    unit: str = "mpps"
    smoke: bool = False
    ratios: bool = True
    latency: bool = False  # search for NDR and PDR instead of comparing rates


WEIR = Spec.of(Weir)
RIVALS = {
    "testpmd io": Spec.of(Testpmd, mode="io"),
    "testpmd mac": Spec.of(Testpmd, mode="mac"),
    "l3fwd": Spec.of(L3fwd),
    "OVS-DPDK": Spec.of(Ovs),
}


def against_rivals(name, title, load, rivals=tuple(RIVALS), smoke=False):
    others = tuple(Contestant(rival, RIVALS[rival], load) for rival in rivals)
    return Row(name, title, (Contestant("weir", WEIR, load), *others), smoke=smoke)


def _frame_rows():
    for size in (64, 128, 512, 1518):
        yield against_rivals(f"ip4-{size}", f"IPv4, {size} bytes", Load(sizes=(size,)),
                             smoke=size in (64, 1518))
    yield against_rivals("ip4-imix", "IPv4, IMIX (7 x 64, 4 x 570, 1 x 1518)", Load(sizes=IMIX))
    yield against_rivals("ip6-78", f"IPv6, {SMALLEST6} bytes", Load(sizes=(SMALLEST6,), family=6),
                         smoke=True)
    yield against_rivals("ip4-64-replay", "IPv4, 64 bytes, replayed", Load(mode="replay"),
                         ("testpmd io",))
    yield against_rivals("ip4-64-flows-1M", "IPv4, 64 bytes, one million flows",
                         Load(flows=1_000_000), ("testpmd io", "l3fwd"))


def _flow_row():
    counts = {"1 flow": 1, "1k flows": 1000, "100k flows": 100_000, "1M flows": 1_000_000}
    return Row("flows", "weir by number of flows, IPv4, 64 bytes",
               tuple(Contestant(label, WEIR, Load(flows=count)) for label, count in counts.items()))


def _route_row(family, size):
    counts = {"1 route": 1, "1k routes": 1000, "500k routes": 500_000, "1M routes": 1_000_000}
    load = Load(sizes=(size,), family=family)
    return Row(
        f"routes-ip{family}",
        f"weir by number of routes, random destinations, IPv{family}, {size} bytes",
        tuple(
            Contestant(label, Spec.of(Weir, routes=count), replace(load, routes=count))
            for label, count in counts.items()
        ),
    )


def _service_rows():
    # As many flows on either side: what a service costs, not what flows cost.
    for flows, name in ((1000, "svc-64"), (100_000, "svc-64-flows-100k")):
        load = Load(flows=flows)
        yield Row(
            name, f"weir to a service and routed, {flows // 1000}k UDP flows, IPv4, 64 bytes",
            (Contestant("service", Spec.of(Weir, services=1), replace(load, services=1)),
             Contestant("routed", WEIR, load)),
            smoke=name == "svc-64",
        )
    counts = {"1 service": 1, "1k services": 1000, "10k services": 10_000}
    yield Row(
        "services", "weir by number of services, 10k UDP flows, IPv4, 64 bytes",
        tuple(
            Contestant(label, Spec.of(Weir, services=count), Load(flows=10_000, services=count))
            for label, count in counts.items()
        ),
    )


def _new_flows_row():
    return Row(
        "svc-new", "First packets of UDP flows to a service, all stages without ports, one core",
        (Contestant("new flows", Spec.of(probes.NewFlows)),), unit="mpps", ratios=False,
    )


def _pods_row():
    load = Load()
    return Row(
        "pods", "weir with 110 memif pods of which two are busy, IPv4, 64 bytes",
        (Contestant("110 pods", Spec.of(Weir, pods=110), load), Contestant("2 pods", WEIR, load)),
    )


def _null_row():
    load = Load()
    # Spelled differently, so that they are two processes.
    return Row("null", "the same weir twice, to see what the method makes of no difference",
               (Contestant("weir", WEIR, load), Contestant("again", Spec.of(Weir, pods=2), load)))


def _worker_row():
    load = Load(shares_core=True)
    return Row(
        "workers", "weir with two workers, of which one shares its core with the generator",
        (Contestant("2 workers", Spec.of(Weir, workers=(1, 0)), load),
         Contestant("1 worker", WEIR, load)),
    )


def _jumbo_row():
    load = Load(sizes=(9018,))
    return Row("jumbo", "weir with an MTU of 9000, frames of 9018 bytes",
               (Contestant("weir", Spec.of(Weir, mtu=9000), load),),
               unit="gbps", smoke=True)


def _cni_row(parallel, smoke=False):
    return Row(
        f"cni-{parallel}",
        f"CNI ADD, {parallel} at a time, median of all calls" if parallel > 1
        else "CNI ADD, one after the other, median of 20",
        (
            Contestant("weir", Spec.of(probes.WeirCni, parallel=parallel)),
            Contestant("bridge + host-local", Spec.of(probes.ReferenceCni, parallel=parallel)),
        ),
        unit="ms", smoke=smoke,
    )


def _other_rows():
    yield Row("tcp", "TCP between two kernel pods, one stream, MTU 1500",
              (Contestant("weir", Spec.of(probes.WeirTcp)),
               Contestant("bridge + veth", Spec.of(probes.BridgeTcp))),
              unit="gbps", smoke=True)
    yield _cni_row(1, smoke=True)
    yield _cni_row(10)
    yield _cni_row(50)
    yield Row("churn", "time blocked by 10k route changes a second, 2 Mpps offered",
              (Contestant("10k changes/s", Spec.of(probes.Churn, changes=10_000)),
               Contestant("no changes", Spec.of(probes.Churn, changes=0))),
              unit="blocked_us", ratios=False, smoke=True)


def _latency_row():
    devices = {"weir": WEIR, "testpmd io": RIVALS["testpmd io"], "l3fwd": RIVALS["l3fwd"]}
    return Row("latency", "Rates without loss and latency, IPv4, 64 bytes",
               tuple(Contestant(label, spec, Load()) for label, spec in devices.items()),
               latency=True)


def rows():
    return [
        *_frame_rows(), _flow_row(), _route_row(4, 64), _route_row(6, SMALLEST6),
        *_service_rows(), _new_flows_row(), _pods_row(),
        _null_row(), _worker_row(), _jumbo_row(), _latency_row(), *_other_rows(),
    ]
