"""The error rate is read from the syndrome; the parities told at first follow from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qkd.entropy import binary_entropy
from nodes.qkd.ldpc_codes import code, refine
from nodes.qkd.ldpc_rates import estimated_qber, initial_parities_per_bit, parities_per_bit
from nodes.qkd.ldpc_syndrome import syndromes


@pytest.mark.parametrize(("rows", "qber"), [(15, 0.002), (51, 0.005), (51, 0.01), (51, 0.02), (200, 0.08)])
@pytest.mark.parametrize("cuts", [0, 20])
def test_the_syndrome_tells_the_error_rate(rows: int, qber: float, cuts: int) -> None:
    """Checks fail as if independent: six standard deviations (false alarm 2e-9) either way."""
    of, _ = refine(code(512, rows, 100), cuts)
    errors = (np.random.default_rng(rows).random(of.size) < qber).astype(np.uint8)
    estimate = estimated_qber(syndromes(errors[np.newaxis], of)[0], of, of.size)
    width = len(of.edges) / len(of.rows)
    spread = (1 - (1 - 2 * qber) ** width) / 2
    deviation = np.sqrt(spread * (1 - spread) / of.checks) / (width * (1 - 2 * qber) ** (width - 1))
    assert abs(estimate - errors.mean()) < 6 * deviation


def test_no_failed_check_means_no_error() -> None:
    of = code(512, 51, 16)
    assert estimated_qber(np.zeros(of.checks, dtype=np.uint8), of, of.size) < 1e-9


@pytest.mark.parametrize("qber", [0.15, 0.3, 0.5])
def test_where_half_of_all_checks_fail_the_estimate_is_a_lower_bound(qber: float) -> None:
    of = code(512, 26, 64)
    errors = (np.random.default_rng(1).random(of.size) < qber).astype(np.uint8)
    estimate = estimated_qber(syndromes(errors[np.newaxis], of)[0], of, of.size)
    assert 0.005 < estimate < qber


@given(st.floats(1e-4, 0.5), st.floats(1e-4, 0.5), st.integers(256, 2**19))
def test_more_errors_take_more_parities_and_short_frames_too(one: float, other: float, size: int) -> None:
    low, high = sorted((one, other))
    assert binary_entropy(low) < parities_per_bit(low) <= parities_per_bit(high)
    assert initial_parities_per_bit(low, size) <= initial_parities_per_bit(high, size)
    assert parities_per_bit(low) <= initial_parities_per_bit(low, size)
    assert initial_parities_per_bit(low, 2 * size) <= initial_parities_per_bit(low, size)
