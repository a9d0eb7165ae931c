"""Frames share a key evenly, codes fit them, and the order of the bits is the same everywhere."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.qkd.entropy import binary_entropy
from nodes.qkd.ldpc_layout import LARGEST_FRAME, lay_out, order, pieces


@settings(deadline=None, max_examples=8)
@given(st.integers(1, 3_000_000), st.floats(0.0, 0.1))
def test_frames_hold_the_key_and_little_else(size: int, qber: float) -> None:
    layout = lay_out(size, qber)
    assert sum(layout.sizes) == size
    assert max(layout.sizes) - min(layout.sizes) <= 1
    assert max(layout.sizes) <= LARGEST_FRAME
    if layout.code is not None:
        filled = layout.code.size - min(layout.sizes)
        assert 0 <= filled <= max(layout.code.columns, layout.code.lift)
        assert layout.code.checks < min(layout.sizes)


@pytest.mark.parametrize(("size", "qber"), [(1, 0.0), (255, 0.01), (10**6, 0.5), (10**6, 0.27), (400, 0.2)])
def test_where_parities_are_not_worth_it_all_bits_are_told(size: int, qber: float) -> None:
    assert lay_out(size, qber).code is None


@pytest.mark.parametrize("qber", [0.005, 0.01, 0.02, 0.05, 0.11])
def test_long_keys_are_told_less_than_a_fifth_above_shannons_limit(qber: float) -> None:
    code = lay_out(10**6, qber).code
    assert code is not None
    assert 1.0 < code.checks / code.size / binary_entropy(qber) < (1.25 if qber < 0.01 else 1.2)


def test_the_order_is_the_same_everywhere_and_takes_every_bit_once() -> None:
    shuffled = order(b"seed", 100_003)
    assert np.array_equal(np.sort(shuffled), np.arange(100_003))
    assert (
        sha256(shuffled.astype("<i8").tobytes()).hexdigest()
        == "24974c710dce43918fd2e00f8d7ec6a5bb79b1736569cb5194c824dbda04c482"
    )
    assert not np.array_equal(order(b"eeds", 100_003), shuffled)
    assert order(b"seed", 0).size == 0


def test_a_burst_of_errors_is_spread_over_all_frames() -> None:
    """5,000 of 2,000,000 bits fall into each of four frames binomially; 6 sigma (false alarm 1e-8) are 184 bits."""
    place = np.argsort(order(b"burst", 2_000_000))
    hits = np.bincount(place[700_000:705_000] // 500_000, minlength=4)
    assert np.abs(hits - 1250).max() < 184


def test_pieces_are_cut_one_behind_the_other() -> None:
    cut = pieces(np.arange(7, dtype=np.uint8), [3, 0, 4])
    assert [piece.tolist() for piece in cut] == [[0, 1, 2], [], [3, 4, 5, 6]]
