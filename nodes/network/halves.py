"""What a tracker knows of a half that its node holds, or has held."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from nodes.network.circuit import Side
from nodes.network.frames import Frame
from nodes.network.tidings import Parity, Track


class State(Enum):
    """What is known of a half."""

    SHARED = "shared with the other end of a segment, and waiting"
    BUSY = "being measured: its outcome is not there yet"
    SPENDING = "purified here, and the other end has not said how it went"
    SWAPPED = "joined with one on the other side"


@dataclass(slots=True)
class Half:
    """A half, by this node's own id.

    It is shared across the ``rung``-th segment of the ladder of its side, purified ``rounds`` times there, with the
    half ``partner`` at the other end, up to X^x Z^z. ``joined`` and ``outcome``: what it was swapped with, and how.
    ``track`` and ``parity`` came before this node could act on them, and what the right ends ``skipped`` say of smaller
    segments comes after; ``expired``: its partner is gone, and ``overdue``: the cut-off has passed, which was heard
    while it was busy.
    """

    pair: str
    side: Side
    partner: str
    born: float
    rung: int = 0
    rounds: int = 0
    x: int = 0
    z: int = 0
    state: State = State.SHARED
    joined: str = ""
    outcome: Frame = (0, 0)
    track: Track | None = None
    parity: Parity | None = None
    skipped: list[int] = field(default_factory=list)
    expired: bool = False
    overdue: bool = False
