"""Statistics of bench/run."""

import random

import pytest
from harness.stats import bootstrap, interleaved, paired_ratios, percentile


def test_bootstrap_of_equal_values_is_that_value():
    interval = bootstrap([1.25] * 9)
    assert (interval.median, interval.low, interval.high, interval.n) == (1.25, 1.25, 1.25, 9)


def test_bootstrap_holds_the_median_between_its_ends():
    interval = bootstrap([3, 1, 2, 5, 4])
    assert interval.median == 3
    assert 1 <= interval.low <= interval.median <= interval.high <= 5
    assert interval.low < interval.high


def test_bootstrap_is_repeatable():
    values = [random.Random(7).gauss(1, 0.1) for _ in range(20)]
    assert bootstrap(values) == bootstrap(values)


def test_bootstrap_covers_the_truth_about_95_percent_of_the_time():
    source = random.Random(3)
    samples = [[source.gauss(10, 1) for _ in range(20)] for _ in range(200)]
    covered = sum(i.low <= 10 <= i.high for i in (bootstrap(s, 300) for s in samples))
    assert 0.88 <= covered / len(samples) <= 1


def test_more_values_narrow_the_interval():
    source = random.Random(5)
    values = [source.gauss(1, 0.1) for _ in range(400)]
    few, many = bootstrap(values[:20]), bootstrap(values)
    assert many.high - many.low < few.high - few.low


def test_no_values_is_an_error():
    with pytest.raises(ValueError):
        bootstrap([])


def test_ratios_pair_place_by_place():
    assert paired_ratios([2, None, 6, 8], [1, 5, None, 4]) == [2, 2]


def test_unequal_series_are_an_error():
    with pytest.raises(ValueError):
        paired_ratios([1], [1, 2])


def test_order_is_reversed_every_other_pass():
    assert list(interleaved("ABC", 3)) == [["A", "B", "C"], ["C", "B", "A"], ["A", "B", "C"]]


def test_percentile_by_nearest_rank():
    assert percentile(range(1, 201), 99) == 198
    assert percentile([5, 3], 99) == 5
    assert percentile([7], 1) == 7
