"""How stored key is named and counted: pools by peer, blocks as they were distilled, units of 32 bytes.

A unit has the same name, (block, index), in the pools of both nodes that share it. A key takes whole units, and what
it does not need of the last one is thrown away at both ends, so that nobody must agree on offsets inside a unit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from nodes.keys.secret import Secret

UNIT_BYTES = 32

Origin: TypeAlias = Literal["qkd", "relay", "pqc", "hybrid"]
"""Where a block comes from: a link of one's own, trusted nodes, ML-KEM, or ML-KEM with one of the first two."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The public name of one unit of a pool: the block it was distilled in and its place there, from 0."""

    block: str
    index: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A key cut from ``units``, which are deleted; ``reproducible`` if any of them is.

    ``wrapped`` are the units as they lay on the disk, for ``KeyStore.restore``.
    """

    units: tuple[Unit, ...]
    secret: Secret
    reproducible: bool
    wrapped: tuple[bytes, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ReservedKey:
    """The name of a key and the units it is cut from, in this order."""

    key_id: str
    units: tuple[Unit, ...]


class Refusal(StrEnum):
    """Why a key cannot be reserved: the closed set."""

    SPENT = "spent"
    """Some of its units were used for another key. What was left of them is deleted."""
    UNKNOWN_BLOCK = "unknown-block"
    """Some of its units are of a block that was never deposited here."""
    FULL = "full"
    """Too many keys wait here to be collected; the units are untouched."""
    NOT_SERVED = "not-served"
    """An application that it names is not served where it should be; the units are untouched."""


@dataclass(frozen=True, slots=True)
class Held:
    """A key that waited for an application and is deleted now."""

    key_id: str
    secret: Secret
    reproducible: bool


@dataclass(frozen=True, slots=True)
class PoolLevel:
    """What is shared with the node ``pool``, in units.

    ``units`` can be taken, ``reproducible`` of them were made with the lab's seed; ``unconfirmed`` wait until the peer
    has them, too. ``origins`` tells where they come from.
    """

    pool: str
    units: int
    reproducible: int
    unconfirmed: int
    origins: tuple[Origin, ...] = ()

    def keys(self, each: int) -> tuple[int, int]:
        """Return for how many keys that take ``each`` units there is enough, and for how many of reproducible ones."""
        return self.units // each, self.reproducible // each


@dataclass(frozen=True, slots=True)
class Block:
    """What is left of a block of the pool ``pool``: ``units`` of ``deposited``."""

    pool: str
    block: str
    origin: Origin
    reproducible: bool
    deposited: int
    units: int
    ready: bool


def units_for(size: int) -> int:
    """Count the units that a key of ``size`` bytes takes. Raises ``ValueError`` for a size below one byte."""
    if size < 1:
        raise ValueError(f"a key has at least one byte, not {size}")
    return -(-size // UNIT_BYTES)
