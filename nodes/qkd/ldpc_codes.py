"""Quasi-cyclic LDPC codes of any rate and length, made on the spot and the same on every machine.

A base graph joins ``columns`` block columns and some block rows by edges; each edge stands for an identity matrix of
``lift`` x ``lift`` bits, rotated by the edge's shift. The base graph grows edge by edge so that short cycles close
late (progressive edge growth: X.-Y. Hu, E. Eleftheriou and D. M. Arnold, IEEE Trans. Inf. Theory 51 (2005) 386), and a
shift is taken only when it closes no cycle of four edges (M. P. C. Fossorier, IEEE Trans. Inf. Theory 50 (2004)
1788). What is drawn comes from SHAKE-256. The codes are public and need no secrecy.

A code becomes one of a lower rate by cutting rows in two: who knows the parity of a row and is told that of one
half knows both (D. Varodayan, A. Aaron and B. Girod, "Rate-adaptive codes for distributed source coding", Signal
Processing 86 (2006) 3123, the other way round). No column changes and no cycle is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import shake_256
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.qkd.ldpc_degrees import column_degrees

_SEED = b"bellwire quasi-cyclic ldpc 1"
_TRIES = 4
"""How many times the lift's number of shifts are drawn before an edge is left out."""


class Edge(NamedTuple):
    """Bit ``j`` of a block row takes part in bit ``(j + shift) mod lift`` of the block column ``column``."""

    column: int
    shift: int


@dataclass(frozen=True, eq=False)
class Code:
    """A parity-check matrix of ``len(rows)`` x ``columns`` blocks; the bits are counted column after column."""

    columns: int
    lift: int
    rows: tuple[tuple[Edge, ...], ...]

    @property
    def size(self) -> int:
        """Return the number of bits in a word."""
        return self.columns * self.lift

    @property
    def checks(self) -> int:
        """Return the number of parities of a word."""
        return len(self.rows) * self.lift

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Return where in the list of all edges each row's begin, and where the last one's end."""
        return np.cumsum([0, *map(len, self.rows)])

    @cached_property
    def edges(self) -> NDArray[np.int64]:
        """Return column and shift of all edges, row after row: shape (edges, 2)."""
        return np.array([edge for row in self.rows for edge in row], dtype=np.int64).reshape(-1, 2)


class Refined(NamedTuple):
    """A code some of whose rows were cut; ``parents[i]`` is the row that the i-th new row was cut from."""

    code: Code
    parents: tuple[int, ...]


@lru_cache(maxsize=16)
def code(columns: int, rows: int, lift: int) -> Code:
    """Return the code of this shape, always the same one."""
    words = _Words(_SEED, columns, rows, lift)
    joined: list[list[Edge]] = [[] for _ in range(rows)]
    taken = [[set[int]() for _ in range(rows)] for _ in range(rows)]
    for column, neighbours in enumerate(_base_graph(columns, rows)):
        placed: list[tuple[int, int]] = []
        for row in neighbours:
            shift = _shift(words, lift, placed, taken[row])
            if shift is not None:
                for other, there in placed:
                    taken[row][other].add((shift - there) % lift)
                    taken[other][row].add((there - shift) % lift)
                placed.append((row, shift))
                joined[row].append(Edge(column, shift))
    return Code(columns, lift, tuple(map(tuple, joined)))


def refine(coarse: Code, cuts: int) -> Refined:
    """Cut the widest row in two, so many times, and append each second half as a row of its own.

    Both halves take every other edge: columns are sorted by their degrees, so they are alike. Raises ``ValueError``
    when no row has two edges left.
    """
    rows, parents = list(coarse.rows), []
    for _ in range(cuts):
        widest = max(range(len(rows)), key=lambda row: len(rows[row]))
        edges = rows[widest]
        if len(edges) < 2:
            raise ValueError("a row of one edge cannot be cut in two")
        rows[widest] = edges[0::2]
        rows.append(edges[1::2])
        parents.append(widest)
    return Refined(Code(coarse.columns, coarse.lift, tuple(rows)), tuple(parents))


class _Words:
    """Integers from SHAKE-256: a stream of 32-bit words for each name."""

    def __init__(self, seed: bytes, *name: int) -> None:
        self._name = seed + ",".join(map(str, name)).encode()
        self._block = 0
        self._words: list[int] = []

    def below(self, high: int) -> int:
        """Draw from 0 .. high-1."""
        if not self._words:
            digest = shake_256(self._name + b"/" + str(self._block).encode()).digest(1 << 14)
            self._words = np.frombuffer(digest, dtype="<u4").tolist()
            self._block += 1
        return self._words.pop() % high


@lru_cache(maxsize=16)
def _base_graph(columns: int, rows: int) -> tuple[tuple[int, ...], ...]:
    """Return the rows that each column is joined to: one after the other, as far from the others as there is one."""
    words = _Words(_SEED, columns, rows)
    width = [0] * rows
    near: list[set[int]] = [set() for _ in range(rows)]  # the rows with which a row shares a column
    joined = []
    for degree in column_degrees(columns, rows):
        mine: list[int] = []
        for _ in range(degree):
            far = _farthest(mine, near)
            least = min(width[row] for row in far)
            candidates = [row for row in far if width[row] == least]
            row = candidates[words.below(len(candidates))]
            for other in mine:
                near[row].add(other)
                near[other].add(row)
            mine.append(row)
            width[row] += 1
        joined.append(tuple(mine))
    return tuple(joined)


def _farthest(mine: list[int], near: list[set[int]]) -> list[int]:
    """Return the rows that are farthest from those that a column is joined to; unreachable ones are farthest of all."""
    reached = border = set(mine)
    while border:
        beyond = set().union(*(near[row] for row in border)) - reached
        if len(reached) + len(beyond) == len(near):
            return sorted(beyond) if beyond else [row for row in range(len(near)) if row not in mine]
        reached, border = reached | beyond, beyond
    return [row for row in range(len(near)) if row not in reached]


def _shift(words: _Words, lift: int, placed: list[tuple[int, int]], taken: list[set[int]]) -> int | None:
    """Draw a shift that closes no cycle of four edges, or give up.

    Two columns close one when they share two rows and their shifts there differ by the same: ``taken[other]`` are the
    differences to another row that columns before have. ``placed`` are rows and shifts of this column.
    """
    for _ in range(_TRIES * lift):
        shift = words.below(lift)
        if all((shift - there) % lift not in taken[other] for other, there in placed):
            return shift
    return None
