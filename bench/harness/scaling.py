"""A model of several workers, from rates measured with one. On paper: the machine that this
was made on has two cores, and the generator needs one."""

from .markdown import number, table

WORKERS = (1, 2, 4, 8, 16, 32)
_LINE = 64  # bytes
# Cache lines that change cores for a small frame: the frame and a share of the descriptors
# and indices (four descriptors a line), on the way in and on the way out.
_LINES_PER_FRAME = 2 * 1.5


def handed_over(workers, rate, copy_rate):
    """Mpps when each port has one ring each way. A frame whose receiver is another worker's,
    (n-1)/n of all with even traffic, costs one more copy from core to core."""
    cost, copy = 1 / rate, 1 / copy_rate
    return workers / (cost + (1 - 1 / workers) * copy)


def _lines(rate, copy_rate):
    for workers in WORKERS:
        direct = workers * rate
        yield (workers, number(direct), number(handed_over(workers, rate, copy_rate)),
               number(direct * 1e6 * _LINES_PER_FRAME * _LINE / 1e9))


def section(rows):
    """Markdown, or nothing when the row it needs was not measured."""
    row = next((row for row in rows if row["name"] == "ip4-64"), None)
    interval = row and row["contestants"].get("weir", {}).get("interval")
    if not interval:
        return ""
    rate, copy = interval["median"], row["copy_limit"]
    return "\n".join((
        "## More workers: a model", "",
        f"One worker forwards {number(rate)} Mpps of 64 bytes; a bare copy from core to core does "
        f"{number(copy)} Mpps, which stands for the cost of handing a frame to another worker. "
        "Clients that offer a receive ring for each worker need no handing over.", "",
        table(("workers", "Mpps, a ring for each worker", "Mpps, one ring a port",
               "GB/s between cores"), _lines(rate, copy)), "",
        "Workers share nothing that they write: counters, rings and quiescence reports have cache "
        "lines of their own, and tables are only read. So the limits are outside: the last column "
        "is traffic between cores for 64-byte frames, and a socket's mesh carries some hundred "
        "GB/s, which makes 16 workers a likely end. At 1518 bytes memory is the limit once the "
        "pods' buffers leave the shared cache: each frame is read once and written once. The "
        "first thing to measure on a larger machine is the row `flows` with one worker for each "
        "busy pod.", "",
    ))
