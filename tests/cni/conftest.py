import pytest

from shim_harness import FakeDaemon, NetworkNamespace, Shim


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
