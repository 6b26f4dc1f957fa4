"""A result as SVG plots, drawn by matplotlib."""

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
matplotlib.rcParams["svg.hashsalt"] = "weir"  # the same data gives the same file

from matplotlib import pyplot  # noqa: E402

from .markdown import UNITS  # noqa: E402


def _save(figure, path):
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return path.name


def _errors(intervals):
    """Distances from the medians, as errorbar() wants them."""
    return [
        [i["median"] - i["low"] for i in intervals],
        [i["high"] - i["median"] for i in intervals],
    ]


def ratios(rows, path):
    """Bars of ours / theirs with their intervals; 1 is the rival's level."""
    bars = [
        (f"{row['title']}: {label}", values)
        for row in rows
        for label, values in row["ratios"].items()
        if values and row["unit"] in ("mpps", "gbps")
    ]
    figure, axes = pyplot.subplots(figsize=(9, 0.32 * len(bars) + 1.2))
    intervals = [values for _, values in bars]
    axes.barh(range(len(bars)), [i["median"] for i in intervals], xerr=_errors(intervals),
              color="#5b8db8", capsize=3)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(bars)), [label for label, _ in bars], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("ratio of rates, 95 % interval")
    return _save(figure, path)


def sizes(rows, path):
    """Rate by frame size, one line a device."""
    chosen = [(int(row["name"].split("-")[1]), row) for row in rows
              if row["name"].startswith("ip4-") and row["name"].split("-")[1:] and
              row["name"].removeprefix("ip4-").isdigit()]
    if len(chosen) < 2:
        return None
    figure, axes = pyplot.subplots(figsize=(6, 4))
    labels = dict.fromkeys(label for _, row in chosen for label in row["contestants"])
    for label in labels:
        points = [(size, row["contestants"][label]["interval"]) for size, row in chosen
                  if row["contestants"].get(label, {}).get("interval")]
        intervals = [values for _, values in points]
        axes.errorbar([size for size, _ in points], [i["median"] for i in intervals],
                      yerr=_errors(intervals), label=label, marker="o", capsize=3)
    axes.set_xscale("log", base=2)
    axes.set_xticks([size for size, _ in chosen], [str(size) for size, _ in chosen])
    axes.set_xlabel("frame size, bytes")
    axes.set_ylabel("Mpps")
    axes.set_ylim(bottom=0)
    axes.legend()
    return _save(figure, path)


def scaling(row, path):
    """One bar a contestant of a row that compares weir with itself."""
    points = [(label, c["interval"]) for label, c in row["contestants"].items() if c["interval"]]
    if not points:
        return None
    figure, axes = pyplot.subplots(figsize=(6, 3))
    intervals = [values for _, values in points]
    axes.bar([label for label, _ in points], [i["median"] for i in intervals],
             yerr=_errors(intervals), color="#5b8db8", capsize=3)
    axes.set_ylabel(UNITS[row["unit"]])
    axes.set_title(row["title"], fontsize=9)
    return _save(figure, path)


def latency(row, path):
    """Percentiles of each device at 50 % of its PDR."""
    figure, axes = pyplot.subplots(figsize=(6, 4))
    names = ("p50", "p90", "p99", "p99.9", "p99.99")
    for label, contestant in row["devices"].items():
        values = contestant["latency"].get("50")
        if values:
            axes.plot(names, [values[name] / 1000 for name in names], marker="o", label=label)
    axes.set_yscale("log")
    axes.set_ylabel("us, at 50 % of the device's PDR")
    axes.legend()
    return _save(figure, path)
