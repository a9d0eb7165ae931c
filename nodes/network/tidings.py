"""What the trackers of a circuit tell each other, and what each wants done at its node.

A pair is named by the id that the recipient has for its own half. A batch has the id of its first pair, and ``x`` and
``z`` one bit for each of its pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_type_hints

from nodes.errors import ProtocolViolation
from nodes.network.circuit import Side


@dataclass(frozen=True, slots=True)
class Track:
    """Your ``pair`` now leads to the segment's left end, where it is called ``origin``, up to X^x Z^z.

    ``born``: when the oldest of the links' pairs was heralded, in emulated seconds. Sent after the sender's swap.
    """

    pair: str
    origin: str
    x: int
    z: int
    born: float


@dataclass(frozen=True, slots=True)
class Established:
    """You share ``pair`` with me across the segment; mine is ``partner``. Sent by its right end, once it knows."""

    pair: str
    partner: str
    x: int
    z: int
    born: float


@dataclass(frozen=True, slots=True)
class Expired:
    """The other half of your ``pair`` is gone."""

    pair: str


@dataclass(frozen=True, slots=True)
class Parity:
    """I have spent the partner of your ``spent`` on that of your ``kept``, and my outcome was ``bit``; do the same."""

    kept: str
    spent: str
    bit: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the purification of your ``kept`` has succeeded; if not, both its halves are given up."""

    kept: str
    success: bool


Tiding: TypeAlias = Track | Established | Expired | Parity | Verdict

_KINDS: Final[tuple[type[Tiding], ...]] = (Track, Established, Expired, Parity, Verdict)
_TYPES: Final = {kind: tuple(get_type_hints(kind).values()) for kind in _KINDS}


@dataclass(frozen=True, slots=True)
class Tidings:
    """Tidings of one circuit that travel together, in their order.

    A row is the number of a tiding's kind (0 Track, 1 Established, 2 Expired, 3 Parity, 4 Verdict) and its fields.
    """

    rows: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, tidings: Sequence[Tiding]) -> Tidings:
        """Put tidings together."""
        return cls(
            tuple(
                (_KINDS.index(type(each)), *(getattr(each, name) for name in each.__slots__))
                for each in tidings
            )
        )

    def read(self) -> list[Tiding]:
        """Take them apart. Raise ``ProtocolViolation`` for a row that is none."""
        return [_read(row) for row in self.rows]


def _read(row: tuple[Any, ...]) -> Tiding:
    code, *fields = row
    if type(code) is int and 0 <= code < len(_KINDS):
        kind = _KINDS[code]
        if tuple(map(type, fields)) == _TYPES[kind]:
            return kind(*fields)
    raise ProtocolViolation(f"{row!r:.80} is no tiding of a circuit")


# what a tracker wants done


@dataclass(frozen=True, slots=True)
class Swap:
    """Bell-measure the halves; tell ``swapped`` or ``swap_failed``."""

    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Purify:
    """Do the local part of a purification on the halves, at a segment's ``left`` or right end, and measure ``spent``;
    tell ``measured`` or ``spoilt``. First turn them so often about (1, 1, 1), see ``frames.twirled``."""

    kept: str
    spent: str
    protocol: str
    left: bool
    turns: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Discard:
    """Give the half up."""

    pair: str


@dataclass(frozen=True, slots=True)
class Free:
    """The half has left this node's care on its ``side``: its place there is free."""

    pair: str
    side: Side


@dataclass(frozen=True, slots=True)
class WatchOver:
    """Tell ``overdue`` when the half has been here for the circuit's cut-off."""

    pair: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """The half is one of an end-to-end pair. ``name`` is the same at both ends; the tail applies X^x Z^z first."""

    pair: str
    name: str
    x: int
    z: int
    born: float


@dataclass(frozen=True, slots=True)
class Send:
    """Tell the node at ``position``."""

    position: int
    tiding: Tiding


Instruction: TypeAlias = Swap | Purify | Discard | Free | WatchOver | Deliver | Send
