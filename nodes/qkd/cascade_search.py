"""Bob's search for errors in Cascade, without messages: which parities to ask for next, and what they say.

Each pass cuts the key into segments whose parities are known at both ends; a segment is *odd* when Alice's
and Bob's parities differ, so that an odd number of its bits is wrong. Halving an odd segment costs one parity
and leaves one odd half. An odd segment of one bit is an error: flipping it makes the segments around it in
all other passes change sides, and the search goes on there.

To save round trips, every odd segment of every pass is halved in the same round unless it shares a bit with a
smaller one that is: two that overlap may hold the same error, and asking for both would leak a parity for
nothing. When a round would carry but a few questions, the next pass opens in it instead of waiting for the
last stragglers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nodes.ports import Bits
from nodes.qkd.cascade_passes import PASSES, Range, block_sizes

FEW_QUESTIONS = 8
LARGE_BLOCKS_FROM = 3
"""From this pass on a block is half the key; these passes find few errors, if any, and open together."""


class Segments:
    """One pass, cut into segments that are known by number; ``odd`` are the numbers of the odd ones."""

    def __init__(self, order: NDArray[np.intp]) -> None:
        self.odd: set[int] = set()
        self._order = order
        self._place = np.empty_like(order)
        self._place[order] = np.arange(order.size)
        self._segment_at = np.zeros(order.size, dtype=np.int32)
        self._bounds: list[tuple[int, int]] = []

    def add(self, start: int, end: int, odd: bool) -> None:
        """Make [start, end) a segment of its own."""
        number = len(self._bounds)
        self._segment_at[start:end] = number
        self._bounds.append((start, end))
        if odd:
            self.odd.add(number)

    def halve(self, segment: int, first_odd: bool) -> None:
        """Cut an odd segment in two, of which exactly one is odd."""
        start, end = self._bounds[segment]
        middle = (start + end) // 2
        self._bounds[segment] = (start, middle)
        if not first_odd:
            self.odd.remove(segment)
        self.add(middle, end, not first_odd)

    def first_half(self, segment: int) -> tuple[int, int]:
        """Return the bounds of the segment's first half."""
        start, end = self._bounds[segment]
        return start, (start + end) // 2

    def size(self, segment: int) -> int:
        """Return the number of bits in the segment."""
        start, end = self._bounds[segment]
        return end - start

    def bits(self, segment: int) -> NDArray[np.intp]:
        """Return where in the key the segment's bits are."""
        start, end = self._bounds[segment]
        return self._order[start:end]

    def change_side(self, bit: int) -> None:
        """Make the segment that holds ``bit`` odd if it was even, and even if it was odd."""
        self.odd ^= {int(self._segment_at[self._place[bit]])}


class Search:
    """Ask ``questions`` and ``learn`` the answers until there are no more; ``key`` is then correct."""

    def __init__(self, key: Bits, qber: float, orders: list[NDArray[np.intp]]) -> None:
        self.key = key.copy()
        self._orders = orders
        self._sizes = block_sizes(key.size, qber)
        self._passes: list[Segments] = []
        self._halving: list[tuple[Segments, int]] = []
        self._opening: range = range(0)
        self._asked: list[Range] = []

    def questions(self) -> list[Range]:
        """Return the ranges whose parities Alice is to tell next; none when all passes are even."""
        odd = self._disjoint_odd_segments()
        self._halving = [(self._passes[number], segment) for number, segment in odd]
        self._opening = self._next_passes() if len(odd) <= FEW_QUESTIONS else range(0)
        self._asked = [Range(number, *self._passes[number].first_half(segment)) for number, segment in odd]
        self._asked += [block for number in self._opening for block in self._blocks_asked(number)]
        return self._asked

    def learn(self, parities: Bits) -> None:
        """Take Alice's parities of the ranges asked for; correct the errors that they single out."""
        differ = (
            bool(parity ^ self._parity(asked)) for parity, asked in zip(parities, self._asked, strict=True)
        )
        answers = list(differ)
        for (segments, segment), first_odd in zip(self._halving, answers, strict=False):
            segments.halve(segment, first_odd)
        blocks = iter(answers[len(self._halving) :])
        for number in self._opening:
            self._open(number, blocks)
        self._correct_single_bits()

    def _disjoint_odd_segments(self) -> list[tuple[int, int]]:
        by_size = sorted(
            (segments.size(segment), number, segment)
            for number, segments in enumerate(self._passes)
            for segment in segments.odd
        )
        taken = np.zeros(self.key.size, dtype=bool)
        chosen = []
        for _, number, segment in by_size:
            bits = self._passes[number].bits(segment)
            if not taken[bits].any():
                taken[bits] = True
                chosen.append((number, segment))
        return chosen

    def _next_passes(self) -> range:
        opened = len(self._passes)
        return range(opened, opened + 1 if opened < LARGE_BLOCKS_FROM else PASSES)

    def _blocks(self, number: int) -> list[Range]:
        size, block = self.key.size, self._sizes[number]
        return [Range(number, start, min(start + block, size)) for start in range(0, size, block)]

    def _blocks_asked(self, number: int) -> list[Range]:
        """All blocks of the first pass; later the last one's parity follows from that of the whole key."""
        return self._blocks(number) if number == 0 else self._blocks(number)[:-1]

    def _open(self, number: int, answers: Iterator[bool]) -> None:
        opened = Segments(self._orders[number])
        asked = self._blocks_asked(number)
        for block, odd in zip(asked, islice(answers, len(asked)), strict=True):
            opened.add(block.start, block.end, odd)
        if number > 0:
            last = self._blocks(number)[-1]
            opened.add(last.start, last.end, (len(opened.odd) + len(self._passes[0].odd)) % 2 == 1)
        self._passes.append(opened)

    def _parity(self, asked: Range) -> int:
        bits = self._orders[asked.number][asked.start : asked.end]
        return int(np.bitwise_xor.reduce(self.key[bits]))

    def _correct_single_bits(self) -> None:
        while errors := self._single_bits():
            for segments, segment in errors:
                if segment in segments.odd:  # another pass may have led to the same bit first
                    self._flip(int(segments.bits(segment)[0]))

    def _single_bits(self) -> list[tuple[Segments, int]]:
        return [
            (segments, segment)
            for segments in self._passes
            for segment in segments.odd
            if segments.size(segment) == 1
        ]

    def _flip(self, bit: int) -> None:
        self.key[bit] ^= 1
        for segments in self._passes:
            segments.change_side(bit)
