"""Medians, ratios of paired trials and their intervals."""

import math
import random
import statistics
from dataclasses import dataclass

_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A median with its bootstrap 95 % interval, from n values."""

    median: float
    low: float
    high: float
    n: int

    def __str__(self):
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}] n={self.n}"


def bootstrap(values, resamples=_RESAMPLES):
    """Percentile bootstrap of the median. Seeded: the same values give the same interval."""
    values = list(values)
    if not values:
        raise ValueError("no values")
    source = random.Random(1)
    medians = sorted(
        statistics.median(source.choices(values, k=len(values))) for _ in range(resamples)
    )
    tail = int(resamples * 0.025)
    return Interval(
        statistics.median(values), medians[tail], medians[resamples - 1 - tail], len(values)
    )


def percentile(values, percent):
    """By nearest rank: with fewer than 100 values the 99th is the largest."""
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]


def paired_ratios(ours, theirs):
    """Value by value, leaving out pairs of which one is missing (None)."""
    return [a / b for a, b in zip(ours, theirs, strict=True) if a is not None and b]


def interleaved(names, passes):
    """A B C, C B A, A B C, …: drift of the machine falls on all alike."""
    for number in range(passes):
        yield list(names) if number % 2 == 0 else list(reversed(names))
