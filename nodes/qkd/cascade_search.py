"""The search for errors in Cascade, without messages: which parities to compare next, and what they say.

Each pass cuts each frame into segments whose parities are known at both ends; a segment is *odd* when they differ, so
that an odd number of its bits is wrong. Halving an odd segment costs one parity and leaves one odd half. An odd segment
of one bit is an error: correcting it makes the segments around it in all other passes change sides, and the search goes
on there. A frame opens its next pass when none of its segments is odd any more.

All frames are worked on in the same rounds, each as if it were alone. In a round every odd segment of every pass is
halved unless it shares a bit with a smaller one: two that overlap may hold the same error, and telling both parities
would leak one for nothing.

Nothing but the differences of parities goes in. Both ends know them, so both ends make the same search.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Final

import numpy as np

from nodes.errors import ProtocolViolation
from nodes.ports import Bits
from nodes.qkd import cascade_kernels
from nodes.qkd.cascade_passes import LARGE_BLOCKS_FROM, Flags, Frames, Integers, Ranges, joined, selected

COMPILED_FROM: Final = 100_000
"""The number of bits from which compiled kernels are used, where numba is installed: loading them takes a second."""


@lru_cache(maxsize=1)
def fastest_kernels() -> ModuleType:
    """Return the compiled kernels, or those by numpy without numba. The first call takes a second or more."""
    return import_module("nodes.qkd.cascade_compiled") if find_spec("numba") else cascade_kernels


class Search:
    """Compare the parities of ``questions`` and ``learn`` which differ until there are no more questions."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        bits = frames.count * frames.size
        self._kernels = fastest_kernels() if bits >= COMPILED_FROM else cascade_kernels
        self._cuts = np.zeros(frames.passes * bits, dtype=np.bool_)
        self._corrected = np.zeros(frames.passes * bits, dtype=np.bool_)
        self._opened = np.zeros(frames.count, dtype=np.int64)
        self._odd: Integers = np.empty(0, dtype=np.int64)  # odd segments' starts, row * size + place, sorted
        self._halving = self._opening = self._asked = _none()

    def questions(self) -> Ranges:
        """Return the ranges whose parities are to be compared next; none when the search is over."""
        row, start = np.divmod(self._odd, self._frames.size)
        _, end = self._kernels.segments_at(self._frames, self._cuts, row, start)
        odd = Ranges(row, start, end)
        self._halving = selected(odd, self._kernels.smallest(self._frames, odd))
        self._opening = self._next_blocks(row)
        first_halves = self._halving._replace(end=_middle(self._halving))
        self._asked = joined(first_halves, selected(self._opening, self._told(self._opening)))
        return self._asked

    def learn(self, differ: Bits) -> None:
        """Take where the sifted keys' parities of the ranges asked for differ; correct the errors singled out.

        Raises ``ProtocolViolation`` when the peer's parities contradict each other.
        """
        odd = differ ^ self._kernels.corrected_parities(self._frames, self._corrected, self._asked)
        answers, halving = odd.astype(np.bool_), self._halving
        halves = self._halve(answers[: halving.row.size])
        blocks = self._open(answers[halving.row.size :])
        odd_now = joined(halves, blocks)
        toggled, single = self._correct(selected(odd_now, odd_now.end - odd_now.start == 1))
        changes = [self._at(halving), self._at(odd_now), toggled]
        self._odd = _occurring_oddly(np.concatenate([self._odd, *changes]))
        if _any_in(single, self._odd):
            raise ProtocolViolation(
                "the peer's parities contradict each other about a bit that was corrected"
            )

    def errors(self, size: int) -> Bits:
        """Return 1 for each wrong bit of the sifted key of ``size`` bits that has been found."""
        frames = self._frames
        first_pass = self._corrected[: frames.count * frames.size].reshape(frames.count, frames.size)
        return first_pass.T.reshape(-1)[:size].astype(np.uint8)

    def _next_blocks(self, busy_rows: Integers) -> Ranges:
        """Return all blocks of the passes that open now."""
        frames, opening = self._frames, [_none()]
        waiting = self._opened < frames.passes
        waiting[busy_rows % frames.count] = False
        if not waiting.any():
            return _none()
        for number in range(int(self._opened[waiting].min()), frames.passes):
            due = waiting & (self._opened == min(number, LARGE_BLOCKS_FROM))
            if due.any():
                opening.append(frames.blocks_of(number, np.flatnonzero(due)))
        following = np.where(self._opened < LARGE_BLOCKS_FROM, self._opened + 1, frames.passes)
        self._opened = np.where(waiting, following, self._opened)
        return joined(*opening)

    def _told(self, blocks: Ranges) -> Flags:
        """Mark all blocks of the first pass; later the last one's parity follows from that of the whole frame."""
        told: Flags = (blocks.row < self._frames.count) | (blocks.end < self._frames.size)
        return told

    def _halve(self, first_odd: Flags) -> Ranges:
        """Cut the segments in the middle; return the halves that are odd."""
        middle = _middle(self._halving)
        self._cuts[self._halving.row * self._frames.size + middle] = True
        start = np.where(first_odd, self._halving.start, middle)
        return Ranges(self._halving.row, start, np.where(first_odd, middle, self._halving.end))

    def _open(self, answers: Flags) -> Ranges:
        """Return the blocks that are odd. In all of a frame an even number of bits is wrong when a later pass opens."""
        blocks = self._opening
        told = self._told(blocks)
        odd = np.zeros(blocks.row.size, dtype=np.bool_)
        odd[told] = answers
        if not told.all():
            first = np.flatnonzero(blocks.start == 0)
            later = blocks.row[first] >= self._frames.count
            odd[~told] = np.bitwise_xor.reduceat(odd, first)[later]
        return selected(blocks, odd)

    def _correct(self, errors: Ranges) -> tuple[Integers, Integers]:
        """Correct bits; return the starts of the segments that change sides, and of these those of a single bit."""
        frames = self._frames
        if not errors.row.size:
            return errors.row, errors.row
        number, frame = np.divmod(errors.row, frames.count)
        bits = np.unique(
            frame * frames.size + frames.orders[number, errors.start]
        )  # passes may find the same
        frame, bit = np.divmod(bits, frames.size)
        passes = np.arange(frames.passes)[:, np.newaxis]
        row, place = passes * frames.count + frame, frames.places[:, bit].astype(np.int64)
        self._corrected[row * frames.size + place] = True
        opened = passes < self._opened[frame]
        row = row[opened]
        start, end = self._kernels.segments_at(frames, self._cuts, row, place[opened])
        toggled = row * frames.size + start
        return toggled, toggled[end - start == 1]

    def _at(self, segments: Ranges) -> Integers:
        return segments.row * self._frames.size + segments.start


def _none() -> Ranges:
    return Ranges(*(np.empty(0, dtype=np.int64) for _ in range(3)))


def _middle(segments: Ranges) -> Integers:
    return (segments.start + segments.end) // 2


def _any_in(values: Integers, ascending: Integers) -> bool:
    at = np.searchsorted(ascending, values)
    return bool((np.append(ascending, -1)[at] == values).any())


def _occurring_oddly(values: Integers) -> Integers:
    """Return, sorted, the values that occur an odd number of times."""
    ascending = np.sort(values)
    first = np.flatnonzero(np.diff(ascending, prepend=-1))
    counts = np.diff(first, append=ascending.size)
    occurring: Integers = ascending[first[counts % 2 == 1]]
    return occurring
