"""Pauli frames: what a pair is away from |Phi+>, as two bits (x, z) for X^x Z^z on either half.

It does not matter on which half, (P (x) I)|Phi+> = (I (x) P^T)|Phi+>, nor in which order, up to a phase. So the frame
of a swapped pair is the sum, bit by bit, of the frames of its two pairs and of the outcome.
"""

from __future__ import annotations

from typing import TypeAlias
from zlib import crc32

from nodes.ports import Basis

Frame: TypeAlias = tuple[int, int]


def after_purification(protocol: str, kept: Frame, spent: Frame) -> tuple[Frame, int]:
    """Return the frame of the pair that is kept, and 1 where the frames flip the parity of the two outcomes.

    The turn of ``dejmps`` by pi/2 about x takes Z to Y, so z becomes (z, z); the CNOTs from kept to spent copy X
    to the target and Z to the source. ``epl`` flips one half of both pairs first, and leaves the kept one flipped.
    """
    (kept_x, kept_z), (spent_x, spent_z) = kept, spent
    if protocol == "dejmps":
        kept_x ^= kept_z
        spent_x ^= spent_z
    flipped = kept_x ^ spent_x
    return (kept_x ^ (protocol == "epl"), kept_z ^ spent_z), flipped


def twirled(frame: Frame, turns: int) -> Frame:
    """Return the frame after both ends have turned by 2 pi/3 about (1, 1, 1) so often: X goes to Y, Y to Z, Z to X."""
    x, z = frame
    for _ in range(turns % 3):
        x, z = x ^ z, x
    return x, z


def twirl(pair: str, rounds: int) -> int:
    """Draw how often a pair is turned: 0, 1 or 2 by the id that its left end has for it, so that both ends know."""
    return crc32(f"{pair}/{rounds}".encode()) % 3


def success(protocol: str, one: int, other: int) -> bool:
    """Tell whether a purification with these two outcomes has succeeded: equal ones; for ``epl`` two ones."""
    return one == other and (protocol != "epl" or one == 1)


def flips(basis: Basis, x: int, z: int) -> int:
    """Return by what X^x Z^z before it changes the outcome of a measurement."""
    return {"Z": x, "X": z, "Y": x ^ z}[basis]
