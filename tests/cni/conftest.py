import pytest

import conformance
from shim_harness import FakeDaemon, NetworkNamespace, Shim

_cases = []  # (line, name, outcome, what was seen)


def pytest_configure(config):
    config.addinivalue_line("markers", "line(id): the conformance line that the case is about")


def pytest_collection_modifyitems(items):
    for item in items:
        mark = item.get_closest_marker("line")
        assert mark and mark.args[0] in conformance.LINES, f"{item.nodeid} names no known line"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when != "call" and not report.skipped:
        return
    name = item.name.removeprefix("test_")
    mark = item.get_closest_marker("line").args[0]
    _cases.append((mark, name, report.outcome, conformance.taken()))


def pytest_terminal_summary(terminalreporter):
    for mark, name, outcome, seen in sorted(_cases):
        words = "; ".join(f"expected {expected}, saw {actual}" for expected, actual in seen)
        terminalreporter.write_line(f"{mark}/{name}: {words}: {outcome}")
    terminalreporter.write_line(f"{len(_cases)} cases over {len({c[0] for c in _cases})} lines")


@pytest.fixture(scope="session")
def namespace():
    namespace = NetworkNamespace()
    yield namespace
    namespace.close()


@pytest.fixture
def shim(tmp_path, namespace):
    if namespace.problem:
        pytest.skip(f"needs a network namespace: {namespace.problem}")
    return Shim(tmp_path, namespace.path)


@pytest.fixture
def daemon(shim):
    """Starts a stand-in for weir-control with the given way of answering."""
    started = []

    def start(answer):
        started.append(FakeDaemon(shim.run_dir, answer))
        return started[-1]

    yield start
    for one in started:
        one.close()
