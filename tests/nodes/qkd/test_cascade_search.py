"""Cascade's search finds every error, frame by frame or all at once, compiled or not."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.errors import ProtocolViolation
from nodes.ports import Bits
from nodes.qkd import cascade_kernels, cascade_search
from nodes.qkd.cascade_passes import FRAME_BITS, Flags, Frames, KeyParities, Ranges, cut
from nodes.qkd.cascade_search import Search, fastest_kernels


class Walk(NamedTuple):
    """The bits that a search finds wrong, and all that it asks, round by round."""

    errors: Bits
    asked: list[Ranges]

    @property
    def told(self) -> int:
        return sum(ranges.row.size for ranges in self.asked)


def wrong(size: int, qber: float, seed: int) -> Bits:
    return (np.random.default_rng(seed).random(size) < qber).astype(np.uint8)


def search(errors: Bits, frames: Frames) -> Walk:
    """Compare the parities of an even key with those of its errors."""
    parities, walk, asked = KeyParities(errors, frames), Search(frames), []
    while (ranges := walk.questions()).row.size:
        asked.append(ranges)
        walk.learn(parities.of(ranges))
    return Walk(walk.errors(errors.size), asked)


def random_segments(frames: Frames, rng: np.random.Generator) -> Ranges:
    """Return some segments of each row, in the order of rows and places; those of a row share no bit."""
    segments = []
    for row in range(0, 8 * frames.count):
        edges = np.unique(rng.integers(0, frames.size // 2, 6))
        segments += [(row, edges[at], edges[at + 1]) for at in range(edges.size - 1) if rng.random() < 0.3]
    return Ranges(*np.array(segments).T.copy())


def in_frame(asked: list[Ranges], frame: int, count: int) -> list[list[tuple[int, int, int]]]:
    """What is asked about one frame, in the rounds in which anything is: (pass, start, end)."""
    rounds = []
    for row, start, end in asked:
        its = row % count == frame
        rounds.append(
            list(zip(*((row // count)[its].tolist(), start[its].tolist(), end[its].tolist()), strict=True))
        )
    return [ranges for ranges in rounds if ranges]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 3000), st.floats(0.0, 0.11), st.integers(0, 2**32 - 1))
def test_short_keys_are_corrected(size: int, qber: float, seed: int) -> None:
    errors, frames = wrong(size, qber, seed), cut(size, qber, b"seed")
    walk = search(errors, frames)
    # what stays wrong has even parity in every block of every pass: rare, and left to verification
    left = (walk.errors ^ errors).astype(np.int64)
    for order, blocks in zip(frames.orders, frames.blocks, strict=True):
        edges = np.arange(blocks) * size // blocks
        assert (np.add.reduceat(left[order], edges) % 2 == 0).all()
    assert walk.told > 0


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_pattern_of_errors_in_the_shortest_keys_is_found(size: int) -> None:
    for pattern in range(2**size):
        errors = np.array([pattern >> bit & 1 for bit in range(size)], dtype=np.uint8)
        walk = search(errors, cut(size, 0.05, b"seed"))
        assert np.array_equal(walk.errors, errors)


@pytest.mark.parametrize("size", [100, 5000, 40_000, 100_000])
@pytest.mark.parametrize("qber", [0.01, 0.05])
def test_keys_of_any_size_are_corrected(size: int, qber: float) -> None:
    errors = wrong(size, qber, size)
    assert np.array_equal(search(errors, cut(size, qber, b"seed")).errors, errors)


def test_frames_in_lock_step_ask_what_each_asks_alone() -> None:
    count, qber = 5, 0.03
    size = count * 3001
    frames = replace(cut(3001, qber, b"seed"), count=count)
    errors = wrong(size, qber, 1)
    together = search(errors, frames)
    assert np.array_equal(together.errors, errors)
    rounds = []
    for frame in range(count):
        alone = search(errors[frame::count], replace(frames, count=1))
        assert in_frame(together.asked, frame, count) == in_frame(alone.asked, 0, 1)
        assert np.array_equal(alone.errors, together.errors[frame::count])
        rounds.append(len(alone.asked))
    assert len(together.asked) == max(rounds)


@pytest.mark.parametrize(
    ("size", "qber", "hint"),
    [
        (1, 1.0, 0.1),
        (2, 0.5, 0.1),
        (777, 0.08, 0.08),
        (50_000, 0.005, 0.005),
        (70_000, 0.05, 0.05),
        (5000, 0.05, 0.001),
    ],
)
def test_compiled_kernels_ask_what_those_by_numpy_ask(
    size: int, qber: float, hint: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, frames = wrong(size, qber, 3), cut(size, hint, b"seed")
    monkeypatch.setattr(cascade_search, "COMPILED_FROM", 0)
    compiled = search(errors, frames)
    monkeypatch.setattr(cascade_search, "COMPILED_FROM", size + 100)
    plain = search(errors, frames)
    assert np.array_equal(compiled.errors, plain.errors)
    assert len(compiled.asked) == len(plain.asked)
    for one, other in zip(compiled.asked, plain.asked, strict=True):
        assert all(np.array_equal(*columns) for columns in zip(one, other, strict=True))


def test_long_keys_are_searched_by_compiled_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    for module in (cascade_kernels, fastest_kernels()):

        def noted(frames: Frames, segments: Ranges, module: ModuleType = module) -> Flags:
            used.append(module)
            return np.ones(segments.row.size, dtype=np.bool_)

        monkeypatch.setattr(module, "smallest", noted)
    for size in (1000, 2**17):
        Search(cut(size, 0.05, b"seed")).questions()
    assert used == [cascade_kernels, fastest_kernels()]
    assert fastest_kernels() is not cascade_kernels


def test_numpy_is_used_where_numba_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade_search, "find_spec", lambda name: None)
    fastest_kernels.cache_clear()
    try:
        assert fastest_kernels() is cascade_kernels
    finally:
        fastest_kernels.cache_clear()


@pytest.mark.parametrize("hint", [0.0, 0.005, 0.2, 0.5])
def test_an_estimate_that_is_far_off_costs_parities_but_no_errors(hint: float) -> None:
    errors = wrong(10_000, 0.05, 2)
    told = [search(errors, cut(errors.size, qber, b"seed")) for qber in (hint, 0.05)]
    assert all(np.array_equal(walk.errors, errors) for walk in told)
    assert told[0].told > told[1].told


def test_no_parity_is_told_twice() -> None:
    size = 2 * FRAME_BITS
    walk = search(wrong(size, 0.04, 4), cut(size, 0.04, b"seed"))
    ranges = [
        entry for asked in walk.asked for entry in zip(*(column.tolist() for column in asked), strict=True)
    ]
    assert len(set(ranges)) == len(ranges) == walk.told


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("size", [60, 5000])
@pytest.mark.parametrize("seed", range(10))
def test_segments_are_halved_that_share_no_bit_with_a_smaller_one(
    compiled: bool, size: int, seed: int
) -> None:
    """Two odd segments that overlap may hold the same error; both halved at once, one parity might tell nothing."""
    rng = np.random.default_rng(seed)
    frames = replace(cut(size, 0.1, b"seed"), count=3)
    odd = random_segments(frames, rng)
    bits = [
        {(row % frames.count, bit) for bit in frames.orders[row // frames.count, start:end].tolist()}
        for row, start, end in zip(*(column.tolist() for column in odd), strict=True)
    ]
    ranks = [(len(its), place) for place, its in enumerate(bits)]
    expected = [
        all(rank <= other or its.isdisjoint(others) for other, others in zip(ranks, bits, strict=True))
        for rank, its in zip(ranks, bits, strict=True)
    ]
    module = fastest_kernels() if compiled else cascade_kernels
    assert module.smallest(frames, odd).tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_equal_keys_cost_the_blocks_and_nothing_else() -> None:
    frames = cut(3 * FRAME_BITS, 0.005, b"seed")
    walk = search(np.zeros(3 * FRAME_BITS, dtype=np.uint8), frames)
    assert walk.told == 3 * (64 + 15 + 3 + 11)
    assert len(walk.asked) == 4  # the passes with blocks of half a frame open together


def test_round_trips_are_few() -> None:
    """Told one by one, the 4,100 or so parities of this key would be as many rounds."""
    walk = search(wrong(20_000, 0.03, 3), cut(20_000, 0.03, b"seed"))
    assert len(walk.asked) < walk.told / 8


@pytest.mark.parametrize("seed", range(8))
def test_a_peer_that_answers_at_random_is_caught_or_tires(seed: int) -> None:
    """It cannot keep the other end busy for ever: every round tells a parity that was not told before."""
    rng = np.random.default_rng(seed)
    frames = cut(300, 0.05, b"seed")
    walk, told = Search(frames), 0
    with suppress(ProtocolViolation):
        while (ranges := walk.questions()).row.size:
            told += ranges.row.size
            walk.learn(rng.integers(0, 2, ranges.row.size, dtype=np.uint8))
    assert told <= frames.passes * frames.size


def test_contradicting_parities_are_refused() -> None:
    """Two bits, of which the first alone is wrong in one pass and the second alone in every other."""
    walk = Search(cut(2, 0.1, b"seed"))
    asked = walk.questions()
    assert asked.row.tolist() == [0, 0]
    walk.learn(np.array([1, 0], dtype=np.uint8))
    assert walk.errors(2).tolist() == [1, 0]
    ranges = walk.questions()
    with pytest.raises(ProtocolViolation, match="contradict"):
        walk.learn(np.zeros(ranges.row.size, dtype=np.uint8))
