"""A virtual circuit: the chain of links over which pairs of one request are made, and who swaps when.

Each node between the ends has a level. It swaps when it shares pairs, to the left and to the right, with the nearest
nodes of its own level or higher. So equal levels are "swap as soon as possible", and 1, 2, 1, 3, 1, 2, 1 is nested
swapping over eight links; any other order is a choice of levels.

    0 ── 1 ── 2 ── 3 ── 4        levels 1, 2, 1:  segments of level 1: 0-2 (1 swaps) and 2-4 (3 swaps),
                                                  of level 2: 0-4 (2 swaps); of level 0: the links

A **segment** is a stretch whose pair its two ends share once the nodes between, its stops, have swapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, Literal, TypeAlias

from nodes.link.service import Kind

Side: TypeAlias = Literal["left", "right"]
Protocol: TypeAlias = Literal["bbpssw", "dejmps", "epl"]
PURIFICATIONS: Final[tuple[Protocol, ...]] = ("bbpssw", "dejmps", "epl")

MAX_BATCH: Final = 64
"""Pairs that travel together: their Pauli frames are the bits of one integer."""


@dataclass(frozen=True, slots=True)
class Distillation:
    """Spend every second pair of the segments of ``level`` (0: links) on the others, by ``protocol``."""

    level: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit. Positions on the ``path`` count from the head, 0, to the tail.

    ``name`` is unique in its run, ``purpose`` names the request that it serves. ``links[i]`` joins positions i and
    i + 1, made with bright-state population ``alphas[i]`` (None: the link's own). ``window``: units that each node
    would like to keep or await on each side, and ``batch`` pairs in one unit. ``cutoff``: seconds for which a node
    between the ends keeps a half for which no swap comes, None for ever.

    Raises ``ValueError`` for a circuit that cannot be.
    """

    name: str
    purpose: str
    path: tuple[str, ...]
    links: tuple[str, ...]
    levels: tuple[int, ...] = ()
    distillations: tuple[Distillation, ...] = ()
    alphas: tuple[float | None, ...] = ()
    kind: Kind = "keep"
    window: int = 1
    batch: int = 1
    cutoff: float | None = None

    def __post_init__(self) -> None:
        between = len(self.path) - 2
        if between < 0 or len(set(self.path)) < len(self.path) or len(self.links) != between + 1:
            raise ValueError(f"no circuit leads over {self.path} and {self.links}")
        if self.levels and (len(self.levels) != between or min(self.levels) < 1):
            raise ValueError(
                f"{between} nodes between the ends take as many levels from 1 on, not {self.levels}"
            )
        if self.alphas and len(self.alphas) != between + 1:
            raise ValueError(f"{between + 1} links take as many alphas, not {self.alphas}")
        if not 1 <= self.batch <= MAX_BATCH or self.window < 1:
            raise ValueError(
                f"a unit has 1 to {MAX_BATCH} pairs, not {self.batch}, and a window at least one"
            )
        if self.cutoff is not None and not self.cutoff > 0:
            raise ValueError(f"a cut-off is a positive time, not {self.cutoff} s")
        if self.distillations and (self.batch > 1 or self.kind == "measure"):
            raise ValueError("purification takes pairs one by one, and keeps them: batch 1, kind keep")
        there = {0, *(self.levels or ((1,) if between else ()))}
        for number, step in enumerate(self.distillations):
            if step.level not in there:
                raise ValueError(
                    f"pairs of level {step.level} are to be purified, and the way has the levels "
                    f"{', '.join(map(str, sorted(there)))}"
                )
            if step.protocol not in PURIFICATIONS:
                raise ValueError(f"purification is one of {', '.join(PURIFICATIONS)}, not '{step.protocol}'")
            first_on_links = step.level == 0 and all(other.level for other in self.distillations[:number])
            if step.protocol == "epl" and not first_on_links:
                raise ValueError(
                    "epl is for pairs as one click heralds them: the first purification of level 0"
                )

    @property
    def last(self) -> int:
        """Return the position of the tail."""
        return len(self.path) - 1

    @property
    def least(self) -> int:
        """Return how many units a node must be able to keep on a side: one, and one more for every purification."""
        return 1 + len(self.distillations)

    def level(self, position: int) -> float:
        """Return the level of a position; the ends are above all."""
        if position in (0, self.last):
            return inf
        return self.levels[position - 1] if self.levels else 1

    def protocols(self, segment: Segment) -> tuple[str, ...]:
        """Return by which protocols the pairs of a segment are purified, one after the other."""
        return tuple(step.protocol for step in self.distillations if step.level == segment.level)

    def alpha(self, link: int) -> float | None:
        """Return the bright-state population of a link's source."""
        return self.alphas[link] if self.alphas else None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a circuit: the positions of its ends and, between them, of the nodes that swap, of one ``level``.

    A link is a segment of level 0 without stops between.
    """

    stops: tuple[int, ...]
    level: int

    @property
    def ends(self) -> tuple[int, int]:
        """Return the positions of both ends, the left one first."""
        return self.stops[0], self.stops[-1]


def ladder(circuit: Circuit, here: int, side: Side) -> tuple[Segment, ...]:
    """Return the segments that end at position ``here`` and lie on its ``side``, from the link up.

    Each contains the one before it. The last is the one whose pairs this node swaps, or delivers. Empty beyond an end.
    """
    step = 1 if side == "right" else -1
    far = here + step
    if not 0 <= far <= circuit.last:
        return ()
    rungs = [Segment(_ordered(here, (), far), 0)]
    while (level := circuit.level(far)) < circuit.level(here):
        stops, far = [far], far + step
        while circuit.level(far) <= level:
            if circuit.level(far) == level:
                stops.append(far)
            far += step
        rungs.append(Segment(_ordered(here, stops, far), int(level)))
    return tuple(rungs)


def nested(links: int) -> tuple[int, ...]:
    """Return the levels of nested swapping: halves of the chain first, then their halves.

    The node at i swaps with level 1 + (how often 2 divides i), for a number of links that is a power of 2; otherwise
    the middle of each stretch has the highest level in it.
    """
    levels = [0] * (links + 1)

    def divide(first: int, last: int) -> int:
        if last - first < 2:
            return 0
        middle = (first + last) // 2
        levels[middle] = 1 + max(divide(first, middle), divide(middle, last))
        return levels[middle]

    divide(0, links)
    return tuple(levels[1:-1])


def ordered(names: Sequence[str], between: Sequence[str]) -> tuple[int, ...]:
    """Return the levels by which the nodes ``between`` the ends swap one after the other in the order of ``names``.

    Who is not named swaps as soon as it can, before all that are. Raises ``ValueError`` for a name that is not there.
    """
    for name in names:
        if name not in between:
            raise ValueError(
                f"'{name}' does not swap between the ends; there are: {', '.join(between) or 'none'}"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"each node swaps once, and {', '.join(names)} names one twice")
    return tuple(2 + names.index(name) if name in names else 1 for name in between)


def _ordered(here: int, stops: Sequence[int], far: int) -> tuple[int, ...]:
    return tuple(sorted((here, *stops, far)))
