"""One trial: traffic through one device for half a second, and whether it counts."""

import time
from dataclasses import dataclass, field

from lab.run import CommandFailed

from .generator import traffic
from .machine import Watch, prefer
from .stats import bootstrap, interleaved, paired_ratios

_ATTEMPTS = 4
# Seconds between trials: other processes catch up here rather than inside the next one.
_REST = 0.2
# Share of a trial that others may take from the device's or the generator's core.
_TOLERANCE = 0.001


@dataclass
class Series:
    """All trials of one device in one row; a place without an undisturbed one holds None."""

    reports: list = field(default_factory=list)
    rejected: int = 0
    reasons: list = field(default_factory=list)  # why trials were rejected

    def values(self, key="mpps"):
        return [report and report[key] for report in self.reports]


def fault(report, disturbance, shares_core=False):
    """Why a trial does not count, or None. Where the generator shares its core, both sides
    wait by design."""
    if report["bad"]:
        raise AssertionError(f"{report['bad']} of {report['checked']} frames came out wrong")
    if disturbance.steal:
        return f"{disturbance.steal} ticks of steal time"
    if shares_core:
        return None
    if disturbance.waited > _TOLERANCE * report["seconds"]:
        return f"worker waited {disturbance.waited * 1e3:.1f} ms, {disturbance.switches} switches"
    if report["waited"] > _TOLERANCE:
        return f"generator waited {report['waited'] * 100:.1f} % of the time"
    return None


def attempt(device, load):
    """One run: its report, and why it does not count or None."""
    if device.revive():
        return None, "the device had died and was started again"
    device.resume()
    try:
        prefer(device.worker_pid())
        watch = Watch(device.worker_pid())
        report = traffic(device, load)
        disturbance = watch.disturbance()
    except (CommandFailed, FileNotFoundError) as error:
        time.sleep(_REST)
        if device.revive():
            return None, "the device died"
        raise error
    finally:
        device.pause()
    time.sleep(_REST)
    return report, fault(report, disturbance, load.shares_core)


def trial(device, load, series):
    """Repeats until one is undisturbed, some times; without it the pair is lost."""
    if load is None:  # a probe: it loads all cores itself, so nothing is left undisturbed
        series.reports.append(device.run())
        return
    for _ in range(_ATTEMPTS):
        report, reason = attempt(device, load)
        if reason is None:
            series.reports.append(report)
            return
        series.rejected += 1
        series.reasons.append(reason)
    series.reports.append(None)


def measure(contestants, passes):
    """Interleaved trials of all: label -> (device, load) becomes label -> Series."""
    series = {label: Series() for label in contestants}
    for order in interleaved(list(contestants), passes):
        for label in order:
            trial(*contestants[label], series[label])
    return series


def compare(series, ours, theirs, key="mpps"):
    """Interval of ours/theirs, or None when no pair is left."""
    ratios = paired_ratios(series[ours].values(key), series[theirs].values(key))
    return bootstrap(ratios) if ratios else None
