"""Trains are cut into blocks such that both ends cut alike and nothing is lost or counted twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nodes.errors import ProtocolViolation
from nodes.qkd.filling import Counted, Filling, SiftedTrain

LEVELS = 3


def sifted(rng: np.random.Generator, clicks: int) -> tuple[SiftedTrain, NDArray[np.bool_]]:
    """Return a train in which a third of the agreed clicks are checks, and which of these are wrong."""
    pulses = 10 * clicks + 1
    at: NDArray[np.int64] = np.sort(rng.choice(pulses, clicks, replace=False))
    bits, in_check = rng.integers(0, 2, clicks, dtype=np.uint8), rng.random(clicks) < 1 / 3
    classes = rng.integers(0, LEVELS, clicks, dtype=np.uint8)
    before = np.cumsum(~in_check, dtype=np.int64)[in_check]
    train = SiftedTrain(
        pulses, bits[~in_check], classes[~in_check], at[~in_check], bits[in_check], classes[in_check], before
    )
    return train, rng.random(int(in_check.sum())) < 0.2


def filled(size: int, trains: list[tuple[SiftedTrain, NDArray[np.bool_]]]) -> tuple[list[Counted], Filling]:
    filling = Filling(size, LEVELS)
    blocks = []
    for train, wrong in trains:
        blocks += filling.add(train, filling.count(train, wrong))
    return blocks, filling


@given(st.integers(1, 40), st.lists(st.integers(0, 60), max_size=6), st.integers(0, 2**32 - 1))
def test_what_is_in_the_blocks_is_what_was_in_the_trains(size: int, clicks: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    trains = [sifted(rng, each) for each in clicks]
    blocks, filling = filled(size, trains)
    assert [len(block.key) for block in blocks] == [size] * len(blocks)
    assert filling.bits < size
    blocks.append(filling.finish())
    keys = [np.zeros(0, np.uint8), *(train.key for train, _ in trains)]
    assert np.array_equal(np.concatenate([block.key for block in blocks]), np.concatenate(keys))
    assert sum(block.pulses for block in blocks) == sum(train.pulses for train, _ in trains)
    counted = np.sum([block.tallies.check_detections for block in blocks], axis=0)
    errors = np.sum([block.tallies.check_errors for block in blocks], axis=0)
    for level in range(LEVELS):
        assert counted[level] == sum((train.check_classes == level).sum() for train, _ in trains)
        assert errors[level] == sum((train.check_classes[wrong] == level).sum() for train, wrong in trains)
    for block in blocks:
        assert block.tallies.key_detections == tuple(np.bincount(block.classes, minlength=LEVELS))


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_check_bits_belong_to_the_block_whose_pulses_they_lie_among(size: int, seed: int) -> None:
    """Were they counted elsewhere, an Eve who measures in between would be seen in another block than her own."""
    train, wrong = sifted(np.random.default_rng(seed), 100)
    blocks, _ = filled(size, [(train, wrong)])
    ends = np.cumsum([block.pulses for block in blocks])
    # the pulse of a check is that of the key bit before it, or later
    last_key = np.append(-1, train.key_pulses)[train.key_before]
    for number, block in enumerate(blocks):
        start = ends[number - 1] if number else 0
        inside = (last_key >= start) & (last_key < ends[number] - 1)
        if number == 0:
            inside |= last_key == -1
        else:
            inside |= last_key == start - 1
        assert sum(block.tallies.check_detections) == inside.sum()


def test_without_a_size_a_block_has_no_end() -> None:
    trains = [sifted(np.random.default_rng(seed), 50) for seed in range(3)]
    blocks, filling = filled(0, trains)
    assert blocks == []
    assert len(filling.finish().key) == sum(len(train.key) for train, _ in trains)


@pytest.mark.parametrize("wrong", [[[-1, 0, 0]], [[99, 0, 0]], [[0, 0]], [[0, 0, 0]] * 2])
def test_errors_that_cannot_be_are_refused(wrong: list[list[int]]) -> None:
    train, _ = sifted(np.random.default_rng(1), 50)
    with pytest.raises(ProtocolViolation):
        Filling(1000, LEVELS).add(train, np.array(wrong))


def test_no_bit_of_the_key_is_shown() -> None:
    train, wrong = sifted(np.random.default_rng(1), 50)
    filling = Filling(10, LEVELS)
    blocks = filling.add(train, filling.count(train, wrong))
    shown = f"{train!r} {filling!r} {blocks!r}"
    assert "array" not in shown.replace("_checks=array", "").replace("_errors=array", "")
