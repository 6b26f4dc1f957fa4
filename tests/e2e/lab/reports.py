"""What every suite of whole processes asks of pytest; a conftest imports the hooks."""

import os

import pytest

# Nodes that are up, for what their daemons said.
open_nodes = []


def pytest_configure():
    if os.geteuid() != 0:
        pytest.exit("these tests need root: they make network namespaces", returncode=1)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the daemons said."""
    report = (yield).get_result()
    if report.failed:
        report.sections.extend((f"node {node.home}", node.logs()) for node in open_nodes)
