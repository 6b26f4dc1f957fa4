"""The highest rates with no loss (NDR) and little loss (PDR), and latency at shares of PDR."""

from dataclasses import replace

from .trial import attempt

_ATTEMPTS = 10
_STEPS = 8  # halvings: a rate is found to 1/256 of the highest
_TRIES = 3
PDR_LOSS = 0.005
SHARES = (10, 50, 90)  # per cent of PDR


def loss(report):
    """Share of what was offered that never arrived: refused at a full ring, or lost behind it."""
    return (report["refused"] + report["lost"]) / max(report["offered"], 1)


def search(passes, highest, steps=_STEPS):
    """Binary search as in RFC 2544 26.1: the highest rate for which passes(rate) held."""
    low, high = 0.0, highest
    for _ in range(steps):
        rate = (low + high) / 2
        if passes(rate):
            low = rate
        else:
            high = rate
    return low


class _Loaded:
    """One device under one kind of load."""

    def __init__(self, device, load):
        self.device = device
        self.load = load

    def report(self, **changes):
        """Of an undisturbed trial; None when the machine never was quiet enough."""
        for _ in range(_ATTEMPTS):
            report, reason = attempt(self.device, replace(self.load, **changes))
            if reason is None:
                return report
        return None

    def highest(self, allowed, start):
        def passes(rate):
            # A loss seen every time is the device's; one seen once may be the machine's.
            reports = (self.report(rate=rate) for _ in range(_TRIES))
            return any(report and loss(report) <= allowed for report in reports)

        return search(passes, start)


def measure_latency(device, load):
    """Mpps, and percentiles in nanoseconds by share of PDR; None if the machine is too busy."""
    loaded = _Loaded(device, load)
    top = loaded.report()
    if top is None:
        return None
    pdr = loaded.highest(PDR_LOSS, top["received"] / top["seconds"] * 1.1)
    result = {"pdr": pdr / 1e6, "ndr": loaded.highest(0, pdr * 1.01) / 1e6, "latency": {}}
    for share in SHARES:
        report = loaded.report(rate=pdr * share / 100, latency=True)
        result["latency"][str(share)] = report and report["latency_ns"]
    return result
