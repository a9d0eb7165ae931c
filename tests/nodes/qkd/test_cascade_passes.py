"""The frames, passes and blocks of Cascade, over ranges of sizes and error rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.qkd.cascade_passes import (
    FRAME_BITS,
    PASSES,
    KeyParities,
    Ranges,
    block_counts,
    block_sizes,
    cut,
    joined,
    selected,
)

SIZES = st.one_of(st.integers(1, 300), st.integers(300, 60_000))
RATES = st.floats(0.0, 0.5)

TABLE_3 = [
    (0.005, 256, 1024),
    (0.01, 128, 512),
    (0.02, 64, 512),
    (0.03, 32, 512),
    (0.04, 32, 256),
    (0.05, 16, 256),
    (0.06, 16, 256),
    (0.07, 16, 256),
    (0.08, 8, 256),
    (0.09, 8, 256),
    (0.10, 8, 256),
    (0.11, 8, 256),
]


@pytest.mark.parametrize(("qber", "first", "second"), TABLE_3)
def test_block_sizes_are_those_of_table_3(qber: float, first: int, second: int) -> None:
    assert block_sizes(FRAME_BITS, qber) == (first, second, 4096)
    counts = [FRAME_BITS // first, FRAME_BITS // second, 4] + [2] * (PASSES - 3)
    assert block_counts(FRAME_BITS, qber).tolist() == counts


@settings(deadline=None, max_examples=40)
@given(SIZES, RATES)
def test_every_bit_of_a_key_has_one_place_in_every_pass(size: int, qber: float) -> None:
    frames = cut(size, qber, b"seed")
    assert 0 <= frames.count * frames.size - size < frames.count  # a frame has at most one bit of padding
    assert frames.count == 1 or FRAME_BITS / 1.5 < frames.size < FRAME_BITS * 1.5
    assert frames.passes == (PASSES if frames.size > 1 else 1)
    numbers = np.arange(frames.size)
    assert np.array_equal(frames.orders[0], numbers)
    for order, places in zip(frames.orders, frames.places, strict=True):
        assert np.array_equal(np.sort(order), numbers)
        assert np.array_equal(order[places], numbers)


@settings(deadline=None, max_examples=40)
@given(SIZES, RATES)
def test_the_blocks_of_a_pass_cover_each_frame_once(size: int, qber: float) -> None:
    frames = cut(size, qber, b"seed")
    assert (np.diff(frames.blocks) <= 0).all()
    everyone = np.arange(frames.count)
    for number in range(frames.passes):
        blocks = frames.blocks_of(number, everyone)
        lengths = blocks.end - blocks.start
        assert lengths.min() >= 1
        assert lengths.max() - lengths.min() <= 1
        assert lengths.max() <= max(1, (frames.size + 1) // 2)
        assert np.array_equal(np.unique(blocks.row), number * frames.count + everyone)
        assert np.array_equal(
            np.flatnonzero(blocks.start == 0), np.arange(0, blocks.row.size, frames.blocks[number])
        )
        assert (blocks.start[1:] == np.where(blocks.start[1:] == 0, 0, blocks.end[:-1])).all()
        assert lengths.sum() == frames.count * frames.size


def test_passes_are_shuffled_by_the_seed() -> None:
    one, same, other = (cut(1000, 0.02, seed).orders for seed in (b"one", b"one", b"two"))
    assert np.array_equal(one, same)
    assert len({order.tobytes() for order in [*one, *other[1:]]}) == 2 * PASSES - 1


@settings(deadline=None, max_examples=20)
@given(st.one_of(st.integers(1, 300), st.integers(1_100_000, 1_200_000)), st.integers(0, 2**32 - 1))
def test_a_parity_is_that_of_the_bits_in_the_range(size: int, seed: int) -> None:
    """Up to 73 frames, so that they take more than one machine word."""
    rng = np.random.default_rng(seed)
    key = rng.integers(0, 2, size, dtype=np.uint8)
    frames = cut(size, 0.02, b"seed")
    rows = rng.integers(0, frames.passes * frames.count, 50)
    bounds = np.sort(rng.integers(0, frames.size + 1, (2, 50)), axis=0)
    parities = KeyParities(key, frames).of(Ranges(rows, bounds[0], bounds[1]))
    padded = np.zeros(frames.count * frames.size, dtype=np.uint8)
    padded[:size] = key
    for row, start, end, parity in zip(rows, bounds[0], bounds[1], parities, strict=True):
        number, frame = divmod(int(row), frames.count)
        bits = frames.orders[number, start:end] * frames.count + frame
        assert parity == padded[bits].sum() % 2


def test_ranges_are_joined_and_selected_by_column() -> None:
    one, two = (Ranges(*(np.array([number + column]) for column in range(3))) for number in (10, 20))
    both = joined(one, two)
    assert [column.tolist() for column in both] == [[10, 20], [11, 21], [12, 22]]
    assert [column.tolist() for column in selected(both, np.array([False, True]))] == [[20], [21], [22]]
