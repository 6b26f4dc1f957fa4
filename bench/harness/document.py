"""docs/performance.md: method, tables and plots of one result."""

from . import markdown, scaling

_METHOD = """\
A number here counts only beside its rival's, measured seconds apart on the same machine.

- **Where**: the device under test has core 1; generator and sink are one process on core
  0 (`weir-bench`, bench/traffic/) that speaks memif with code of its own. Both run before
  ordinary processes (SCHED_FIFO).
- **touch**: the generator writes headers of every frame (destination, ports, IPv4
  checksum, number, time), so cache lines move as with a real sender. **replay**: only
  descriptors move. The sink reads one frame in 16 and checks that it is the one sent.
- **Trials** of half a second are interleaved: A B C, C B A, … Each pass gives one pair; the
  table shows the median of the pairs' ratios with a bootstrap 95 % interval. A ratio is
  told from 1 only when the whole interval is on one side.
- **Rejected**: trials with steal time on either core, or in which others had more than
  0.1 % of the device's or the generator's time. Each is repeated up to three times, then
  its pair is left out.
- **Headroom**: generator and sink are measured back to back, with a device that copies
  headers alone. Below 1.5 times the fastest device, a row is labelled generator-bound. A
  bare copy of whole frames is given beside it: no device can do better on these cores.
- Rows of services (`svc-`, `services`): one endpoint behind each, the receiving pod; all
  flows are open after the warm-up, and the sink checks that frames arrive translated.
  Replies and the cost of more flows are in `bench/stages/service_cost.cpp`, without ports.
- Frame sizes count Ethernet's checksum, which memif does not carry.
- `l3fwd` is built from Debian's dpdk-doc with one change: it asks for no receive checksum
  offload, which no memif port offers. `testpmd io` and `mac` route nothing; they are the
  limit of DPDK's memif driver, not rivals in function.
- A wider SIMD width (`--force-max-simd-bitwidth`) changes nothing for these: DPDK's memif
  driver has no vector path.
"""
_PERCENTILES = ("p50", "p90", "p99", "p99.9", "max")


def merged(results):
    """Later results' rows take the place of earlier ones of the same name."""
    rows = {}
    for result in results:
        source = {"revision": result["revision"], "date": result["date"]}
        rows |= {row["name"]: row | source for row in result["rows"]}
    return results[-1] | {"rows": list(rows.values())}


def _plot_line(plots, name):
    return f"![{name}]({plots[name]})\n" if name in plots else ""


def _latency_section(row):
    lines = []
    for label, device in row["devices"].items():
        for share, values in device["latency"].items():
            if values:
                cells = (f"{values[key] / 1000:.1f}" for key in _PERCENTILES)
                lines.append((label, f"{share} %", *cells))
    rates = [(label, markdown.number(device["ndr"]), markdown.number(device["pdr"]))
             for label, device in row["devices"].items()]
    return "\n".join((
        f"### {row['title']}", "",
        markdown.table(("device", "NDR, Mpps (no loss)", "PDR, Mpps (0.5 % loss)"), rates), "",
        "Microseconds from generator to sink, both of their rings included:", "",
        markdown.table(("device", "of its PDR", *_PERCENTILES), lines), "",
        markdown.source(row), "",
    ))


def _section(row, plots):
    if "devices" in row:
        return _latency_section(row) + "\n" + _plot_line(plots, row["name"])
    ours = next(iter(row["contestants"]), "")
    return markdown.row_section(row, ours) + "\n" + _plot_line(plots, row["name"])


def text(result, plots):
    """`plots`: name -> path as the document links it."""
    rows = [row for row in result["rows"] if "contestants" in row]
    rejected = sum(c["rejected"] for row in rows for c in row["contestants"].values())
    return "\n".join((
        "# Performance", "",
        "Made by `bench/report` from results of `bench/run`; do not edit, run it again. Under "
        "each row stands the command that repeats it, and the revision and the time it was "
        f"measured. In all of them {rejected} trials were rejected.", "",
        f"Machine: {markdown.machine(result['machine'])}.", "",
        "## Ratios", "", markdown.summary(rows), "", _plot_line(plots, "ratios"),
        _plot_line(plots, "sizes"),
        "## How it is measured", "", _METHOD,
        "Devices as they were started:", "", markdown.commands(rows), "",
        "## Rows", "", *[_section(row, plots) for row in result["rows"]],
        scaling.section(result["rows"]),
    ))


def write(result, folder):
    """Writes performance.md and performance/*.svg; the document's path."""
    from . import plots  # matplotlib is needed for this alone

    images = folder / "performance"
    images.mkdir(parents=True, exist_ok=True)
    rows = [row for row in result["rows"] if "contestants" in row]
    drawn = {"ratios": plots.ratios(rows, images / "ratios.svg"),
             "sizes": plots.sizes(rows, images / "sizes.svg")}
    for row in result["rows"]:
        if row["name"] in ("flows", "routes-ip4", "routes-ip6"):
            drawn[row["name"]] = plots.scaling(row, images / f"{row['name']}.svg")
        elif "devices" in row:
            drawn[row["name"]] = plots.latency(row, images / f"{row['name']}.svg")
    links = {name: f"performance/{file}" for name, file in drawn.items() if file}
    document = folder / "performance.md"
    document.write_text(text(result, links))
    return document
