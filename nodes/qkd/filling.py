"""How trains of sifted pulses are cut into blocks of key, by both ends alike.

A block ends with its last key bit: what was detected before that, check basis included, belongs to it, and what comes
after it to the next. So every block has the check bits of the same pulses as its key, which is what makes them a
sample: an Eve who comes in the midst of a train is seen in the block whose key she knows. Nothing is counted twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.errors import ProtocolViolation
from nodes.ports import Bits
from nodes.qkd.tallies import Tallies

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SiftedTrain:
    """What one end knows of the pulses of a train for which both chose the same basis.

    ``key`` and ``classes``: the bits of the key basis and the intensities of their pulses. ``checks`` are those of the
    check basis, ``check_classes`` their intensities, ``key_before`` how many key bits came before each. ``key_pulses``
    are the numbers of the key bits' pulses among the ``pulses`` of the train.
    """

    pulses: int
    key: Bits = field(repr=False)
    classes: Bits = field(repr=False)
    key_pulses: NDArray[np.int64] = field(repr=False)
    checks: Bits = field(repr=False)
    check_classes: Bits = field(repr=False)
    key_before: NDArray[np.int64] = field(repr=False)


class Counted(NamedTuple):
    """A finished block: its key, its intensities bit by bit, its ``pulses``, and what was counted."""

    key: Bits
    classes: Bits
    pulses: int
    tallies: Tallies

    def __repr__(self) -> str:
        return f"<a block of {len(self.key)} sifted bits of {self.pulses} pulses>"


@dataclass(slots=True)
class Filling:
    """The block that is being filled: ``size`` key bits of pulses of ``levels`` intensities; size 0 is without end."""

    size: int
    levels: int
    bits: int = 0
    pulses: int = 0
    _parts: list[tuple[Bits, Bits]] = field(default_factory=list, repr=False)
    _checks: Counts = field(init=False)
    _errors: Counts = field(init=False)

    def __post_init__(self) -> None:
        self._begin()

    def cuts(self, train: SiftedTrain) -> NDArray[np.int64]:
        """Return after how many of the train's key bits a block is full: once, several times, or not at all."""
        if not self.size:
            return np.zeros(0, dtype=np.int64)
        return np.arange(self.size - self.bits, len(train.key) + 1, self.size)

    def count(self, train: SiftedTrain, wrong: NDArray[np.bool_] | None = None) -> Counts:
        """Count the train's check bits, or the ``wrong`` ones, of each block (row) and intensity (column)."""
        cuts = self.cuts(train)
        rows = np.searchsorted(cuts, train.key_before, side="right")
        cells = rows * self.levels + train.check_classes
        chosen = cells if wrong is None else cells[wrong]
        return np.bincount(chosen, minlength=(len(cuts) + 1) * self.levels).reshape(-1, self.levels)

    def add(self, train: SiftedTrain, errors: Counts) -> list[Counted]:
        """Add a train with the ``errors`` that ``count`` has found; return the blocks that are full by that.

        Raises ``ProtocolViolation`` when there are more errors than check bits.
        """
        cuts, checks = self.cuts(train), self.count(train)
        if errors.shape != checks.shape or (errors < 0).any() or (errors > checks).any():
            raise ProtocolViolation("the peer has counted errors among check bits that are not there")
        full, start, begun = [], 0, 0
        for row, cut in enumerate([*cuts.tolist(), len(train.key)]):
            self._parts.append((train.key[start:cut], train.classes[start:cut]))
            self._checks += checks[row]
            self._errors += errors[row]
            passed = train.pulses if row == len(cuts) else int(train.key_pulses[cut - 1]) + 1
            self.bits, self.pulses = self.bits + cut - start, self.pulses + passed - begun
            start, begun = cut, passed
            if row < len(cuts):
                full.append(self.finish())
        return full

    def finish(self) -> Counted:
        """Return what there is of the block, full or not, and begin the next."""
        key, classes = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        detections = np.bincount(classes, minlength=self.levels)
        counts = (detections, self._checks, self._errors)
        counted = Counted(key, classes, self.pulses, Tallies(*(tuple(each.tolist()) for each in counts)))
        self._begin()
        return counted

    def _begin(self) -> None:
        empty = np.zeros(0, dtype=np.uint8)
        self.bits, self.pulses, self._parts = 0, 0, [(empty, empty)]
        self._checks, self._errors = np.zeros((2, self.levels), dtype=np.int64)
