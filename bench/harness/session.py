"""Runs rows and gathers their result as plain data, ready for JSON."""

import re
import statistics
from contextlib import ExitStack

from lab.run import TREE

from .generator import weir_bench
from .latency import measure_latency
from .stats import bootstrap
from .trial import compare, measure

# The generator has to be so much faster than what it loads.
HEADROOM = 1.5
_LIMIT_TRIALS = 3


def _say(text):
    print(text, flush=True)


class Devices:
    """Running devices by spec; each ends when no row needs it any more."""

    def __init__(self):
        self._running = {}

    def get(self, spec):
        if spec not in self._running:
            self._running[spec] = spec.make()
        return self._running[spec]

    def keep_only(self, specs):
        for spec in [spec for spec in self._running if spec not in specs]:
            self._running.pop(spec).close()

    def close(self):
        self.keep_only(())


def _anywhere(command):
    """Without the places that differ from run to run and from tree to tree."""
    return re.sub(r"(/\S*?/)?weir-bench-\w+", "DIR", command.replace(f"{TREE}/", ""))


def _described(series, device, unit, load):
    good = [report for report in series.reports if report]
    described = {
        "values": series.values(unit),
        "interval": _interval(bootstrap([report[unit] for report in good]) if good else None),
        "rejected": series.rejected,
        "reasons": sorted(set(series.reasons)),
        # Medians of all else that was counted.
        "medians": {key: statistics.median(report[key] for report in good)
                    for key in (good[0] if good else ()) if isinstance(good[0][key], (int, float))},
    }
    if load is not None:
        described |= {
            "command": _anywhere(" ".join(device.command)),
            "hugepages": device.hugepages,
            "load": " ".join(str(argument) for argument in load.arguments()),
        }
    return described


def _interval(interval):
    if interval is None:
        return None
    return {"median": interval.median, "low": interval.low, "high": interval.high, "n": interval.n}


def _back_to_back(load, unit, *options):
    """The row's frames without a device: the best of some trials, as it is a limit."""
    source, target = ("10.0.0.1", "10.0.0.2") if load.family == 4 else ("fd00::1", "fd00::2")
    arguments = [*load.arguments(), "--source", source, "--target", target, *options]
    return max(weir_bench("back-to-back", *arguments)[unit] for _ in range(_LIMIT_TRIALS))


class Session:
    def __init__(self, rows, passes):
        self.rows = rows
        self.passes = passes
        self.devices = Devices()

    def run(self):
        results = []
        with ExitStack() as stack:
            stack.callback(self.devices.close)
            for number, row in enumerate(self.rows):
                results.append(self.row(row))
                following = self.rows[number + 1 :]
                self.devices.keep_only({c.device for later in following for c in later.contestants})
        return results

    def row(self, row):
        _say(f"==> {row.title}")
        skipped = {c.label: c.device.kind.missing() for c in row.contestants}
        present = [c for c in row.contestants if not skipped[c.label]]
        running = {c.label: (self.devices.get(c.device), c.load) for c in present}
        result = {
            "name": row.name,
            "title": row.title,
            "unit": row.unit,
            "skipped": {label: reason for label, reason in skipped.items() if reason},
        }
        for label, reason in result["skipped"].items():
            _say(f"    {label}: skipped, {reason}")
        return result | (self._search if row.latency else self._compare)(row, running)

    def _search(self, row, running):
        found = {}
        for label, (device, load) in running.items():
            found[label] = measure_latency(device, load)
            _say(f"    {label}: {found[label] or 'no undisturbed trial'}")
        return {"devices": {label: values for label, values in found.items() if values}}

    def _compare(self, row, running):
        series = measure(running, self.passes)
        result = {
            "contestants": {
                label: _described(series[label], device, row.unit, load)
                for label, (device, load) in running.items()
            },
            "ratios": self._ratios(series, row.unit) if row.ratios else {},
        }
        load = next(iter(running.values()))[1]
        if load is not None:
            self._judge_generator(result, load, row.unit)
        self._show(result, row.unit)
        return result

    @staticmethod
    def _ratios(series, unit):
        ours, *others = series
        return {label: _interval(compare(series, ours, label, unit)) for label in others}

    @staticmethod
    def _judge_generator(result, load, unit):
        result["back_to_back"] = _back_to_back(load, unit)
        result["copy_limit"] = _back_to_back(load, unit, "--whole")
        medians = [c["interval"]["median"] for c in result["contestants"].values() if c["interval"]]
        result["headroom"] = result["back_to_back"] / max(medians) if medians else None
        result["generator_bound"] = bool(medians) and result["headroom"] < HEADROOM

    @staticmethod
    def _show(result, unit):
        for label, contestant in result["contestants"].items():
            rate = contestant["interval"]
            text = f"{rate['median']:.2f} {unit}" if rate else "no undisturbed trial"
            ratio = result["ratios"].get(label)
            if ratio:
                text += (f"; ratio {ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"
                         f" n={ratio['n']}")
            _say(f"    {label}: {text}; {contestant['rejected']} rejected")
        if result.get("headroom"):
            bound = " (generator-bound)" if result["generator_bound"] else ""
            _say(f"    generator headroom {result['headroom']:.1f}x{bound};"
                 f" bare copy {result['copy_limit']:.2f} {unit}")
