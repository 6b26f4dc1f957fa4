"""A result as Markdown: one table of ratios, one of rates, and how they came about."""

UNITS = {
    "mpps": "Mpps", "gbps": "Gb/s", "ms": "ms", "blocked_us": "us blocked",
}
_LOWER_IS_BETTER = ("ms", "blocked_us")


def number(value):
    """Three significant digits at most, never an exponent."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def interval(values, unit=""):
    if not values:
        return "no undisturbed trial"
    text = f"{number(values['median'])} [{number(values['low'])}, {number(values['high'])}]"
    return f"{text} {unit}".strip()


def ratio(values):
    if not values:
        return "-"
    return f"{values['median']:.2f} [{values['low']:.2f}, {values['high']:.2f}]"


def verdict(values, unit):
    """What the interval lets one say: better, worse, or neither."""
    if not values:
        return ""
    better, worse = values["low"] > 1, values["high"] < 1
    if unit in _LOWER_IS_BETTER:
        better, worse = worse, better
    return "better" if better else "worse" if worse else "no difference shown"


def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(out + ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines])


def _row_lines(row):
    unit = UNITS[row["unit"]]
    for label, contestant in row["contestants"].items():
        against = row["ratios"].get(label)
        yield (
            label, interval(contestant["interval"], unit), ratio(against) if against else "",
            len([value for value in contestant["values"] if value is not None]),
            contestant["rejected"],
        )
    for label, reason in row["skipped"].items():
        yield (label, f"not measured: {reason}", "", 0, 0)


def _generator(row):
    if not row.get("headroom"):
        return ""
    unit = UNITS[row["unit"]]
    text = (
        f"Generator and sink alone: {number(row['back_to_back'])} {unit}, "
        f"{row['headroom']:.1f} times the fastest device."
    )
    if row["generator_bound"]:
        text += " **Generator-bound**: less than 1.5 times, so the rates are lower bounds."
    return text + f" A bare copy from ring to ring: {number(row['copy_limit'])} {unit}.\n"


# What probes count beside the row's own unit.
_ALSO = {
    "add_p99_ms": "ADD p99 {} ms", "del_ms": "DEL median {} ms", "del_p99_ms": "DEL p99 {} ms",
    "changes_per_second": "{} changes a second", "lost": "{} frames lost",
    "offered": "{} frames offered",
}


def _also(row):
    """A line for each probe; traffic rows say it in the table."""
    for label, contestant in row["contestants"].items():
        medians = {} if contestant.get("load") else contestant["medians"]
        parts = [text.format(number(medians[key])) for key, text in _ALSO.items() if key in medians]
        if parts:
            yield f"{label}: {', '.join(parts)} (medians of the trials).\n"


def source(row):
    return f"`bench/run --row {row['name']}`, revision {row['revision']}, {row['date']}"


def row_section(row, ours):
    head = (row["unit"] in _LOWER_IS_BETTER and "less is better") or "more is better"
    lines = list(_row_lines(row))
    text = [f"### {row['title']}", ""]
    text.append(table(
        ("contestant", f"median ({head})", f"{ours} / this one", "trials", "rejected"), lines
    ))
    text += ["", _generator(row), *_also(row), source(row), ""]
    return "\n".join(text)


def summary(rows):
    """One line a ratio."""
    lines = []
    for row in rows:
        ours = next(iter(row["contestants"]), "")
        for label, values in row["ratios"].items():
            lines.append((row["title"], f"{ours} / {label}", ratio(values),
                          values["n"] if values else 0,
                          # weir beside itself is a question of scale, not of better or worse.
                          verdict(values, row["unit"]) if ours == "weir" else ""))
    return table(("row", "ratio of", "median [95 % interval]", "pairs", ""), lines)


def machine(facts):
    return (
        f"{facts['cpu']} ({facts['model']}), {facts['cores']} cores"
        f"{' of a virtual machine' if facts['hypervisor'] else ''}, Linux {facts['kernel']}, "
        f"DPDK {facts['dpdk']}, {facts['compiler']}"
    )


def commands(rows):
    """Each device's command line, once."""
    seen = {}
    for row in rows:
        for label, contestant in row["contestants"].items():
            if contestant.get("command"):
                program, *_ = contestant["command"].split()
                seen.setdefault((program, contestant["command"]), label)
    kept = {}
    for (program, command), label in seen.items():
        kept.setdefault(label if program != "weir-dataplane" else "weir", command)
    return "\n".join(f"    {label}: {command}" for label, command in kept.items())
