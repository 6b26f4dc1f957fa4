"""What bench/report makes of a result."""

import copy

import pytest
from harness import document, markdown, scaling
from harness.latency import loss, search
from harness.trial import Series, compare, fault
from harness.machine import Disturbance

INTERVAL = {"median": 1.07, "low": 1.02, "high": 1.13, "n": 6}
CONTESTANT = {
    "values": [20.9, None, 21.1], "interval": {"median": 21.0, "low": 20.9, "high": 21.1, "n": 2},
    "rejected": 5, "reasons": ["1 ticks of steal time"], "medians": {},
    "command": "weir-dataplane workers=[1]", "hugepages": True, "load": "--size 64",
}
RESULT = {
    "date": "2026-01-01T00:00:00+00:00", "revision": "abc", "command": "bench/run --smoke",
    "seconds": 10, "passes": 3,
    "machine": {"cpu": "Some CPU", "model": "family 6", "cores": 2, "hypervisor": True,
                "kernel": "6.1", "dpdk": "22.11", "compiler": "c++ 12", "flags": []},
    "rows": [{
        "name": "ip4-64", "title": "IPv4, 64 bytes", "unit": "mpps", "skipped": {},
        "contestants": {"weir": CONTESTANT,
                        "testpmd io": CONTESTANT | {"command": "dpdk-testpmd --x"}},
        "ratios": {"testpmd io": INTERVAL}, "back_to_back": 50, "copy_limit": 40,
        "headroom": 2.4, "generator_bound": False,
    }],
}


def test_document_names_ratio_interval_rejections_and_commands():
    text = document.text(document.merged([RESULT]), {})
    for needed in ("1.07 [1.02, 1.13]", "10 trials were rejected", "better", "dpdk-testpmd --x",
                   "`bench/run --row ip4-64`", "Some CPU", "abc"):
        assert needed in text


def test_generator_bound_rows_say_so():
    result = copy.deepcopy(RESULT)
    result["rows"][0] |= {"generator_bound": True, "headroom": 1.2}
    assert "Generator-bound" in document.text(document.merged([result]), {})


def test_missing_rival_and_missing_trials_are_shown():
    result = copy.deepcopy(RESULT)
    row = result["rows"][0]
    row["skipped"] = {"l3fwd": "package dpdk-doc is not installed"}
    row["contestants"]["weir"]["interval"] = None
    row["ratios"]["testpmd io"] = None
    text = document.text(document.merged([result]), {})
    assert "package dpdk-doc is not installed" in text
    assert "no undisturbed trial" in text


def test_later_results_replace_rows():
    later = copy.deepcopy(RESULT)
    later["rows"][0]["title"] = "again"
    merged = document.merged([RESULT, later])
    assert [row["title"] for row in merged["rows"]] == ["again"]
    assert merged["rows"][0]["revision"] == "abc"


@pytest.mark.parametrize(("low", "high", "unit", "expected"), [
    (1.01, 1.2, "mpps", "better"), (0.8, 0.99, "mpps", "worse"),
    (0.9, 1.1, "mpps", "no difference shown"), (0.2, 0.4, "ms", "better"),
])
def test_verdict_needs_the_whole_interval(low, high, unit, expected):
    assert markdown.verdict({"low": low, "high": high}, unit) == expected


def test_plots_are_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="python3-matplotlib is not installed")
    assert document.write(document.merged([RESULT]), tmp_path).exists()
    assert "<svg" in (tmp_path / "performance/ratios.svg").read_text()


def test_search_finds_the_highest_good_rate():
    assert search(lambda rate: rate <= 7.3, 20, steps=12) == pytest.approx(7.3, abs=0.01)
    assert search(lambda rate: False, 20) == 0


def test_loss_counts_refused_and_lost():
    assert loss({"refused": 3, "lost": 2, "offered": 100}) == 0.05


def report(**changes):
    return {"seconds": 0.5, "waited": 0, "bad": 0, "checked": 9, "mpps": 1} | changes


def test_disturbed_trials_do_not_count():
    quiet = Disturbance(switches=1, waited=0.0001, steal=0)
    assert fault(report(), quiet) is None
    assert "steal" in fault(report(), Disturbance(0, 0, 2))
    assert "worker waited" in fault(report(), Disturbance(9, 0.01, 0))
    assert "generator waited" in fault(report(waited=0.02), quiet)
    assert fault(report(waited=0.02), quiet, shares_core=True) is None


def test_wrong_frames_end_the_run():
    with pytest.raises(AssertionError, match="1 of 9 frames"):
        fault(report(bad=1), Disturbance(0, 0, 0))


def test_comparison_leaves_lost_pairs_out():
    series = {"a": Series([{"mpps": 2}, None, {"mpps": 4}]),
              "b": Series([{"mpps": 1}, {"mpps": 1}, {"mpps": 2}])}
    interval = compare(series, "a", "b")
    assert (interval.median, interval.n) == (2, 2)
    assert compare({"a": Series([None]), "b": Series([None])}, "a", "b") is None


def test_workers_are_modelled_from_one():
    assert scaling.handed_over(1, 20, 50) == pytest.approx(20)
    assert scaling.handed_over(4, 20, 50) == pytest.approx(4 / (1 / 20 + 0.75 / 50))
    assert "More workers" in scaling.section(RESULT["rows"])
    assert scaling.section([]) == ""
