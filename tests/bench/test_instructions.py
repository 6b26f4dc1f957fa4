"""A change that makes the fast path longer by more than 5 % fails here, on any machine."""

import os

import pytest
from harness import instructions


@pytest.mark.parametrize("workload", instructions.stored())
def test_instructions_per_packet(workload):
    if reason := instructions.missing():
        pytest.skip(reason)
    counted = instructions.count(os.environ["WEIR_WORKLOADS"], workload)
    problem = instructions.regression(counted, instructions.stored()[workload])
    assert problem is None, problem


def test_regression_is_told_from_noise():
    assert instructions.regression(104.9, 100) is None
    assert instructions.regression(50, 100) is None
    assert "6% more" in instructions.regression(106, 100)
