"""The link service at one end of a link: who wants pairs of it, how many may be on their way, what each gets.

After the link layer of Dahlberg et al. (SIGCOMM 2019, "A link layer protocol for quantum networks") and RFC 9340.
Both ends hold the same ``Create`` for a request, under one purpose id; both are told of every pair, ``Ok``, or why
there will be no more, ``Err``. The pair's id is fixed when the link makes it and is the same at both ends.

    events in                          instructions out
    create      a request begins       Ask       ask the link for a pair, or a batch, of this purpose
    heralded    the link made one      Ok        the purpose has it
    freed       its place is free      Ask       for the next one
    refused     the link cannot        Err       and the request is over
    close       nobody wants more      Withdraw  what is still asked for

A request has ``places`` at this end: asked for, or held. None takes another's, so a request whose pairs are not used
cannot starve the others, and nobody ever waits for a memory while he holds one. The source serves what both ends ask
for in that order; with equal places its time is shared equally.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Literal, TypeAlias


class Failure(StrEnum):
    """Why a request gets no (more) pairs: the closed set, of links and of the network above them."""

    UNSUPPORTED = "unsupported"
    """What is asked for cannot be had here: a fidelity that no setting reaches, or pairs that cannot be stored."""
    NO_ROUTE = "no-route"
    """No chain of links leads there."""
    OUT_OF_MEMORY = "out-of-memory"
    """A node on the way has too few free memories."""
    DENIED = "denied"
    """The other end does not accept the request."""
    TIMEOUT = "timeout"
    """The deadline has passed."""
    LINK_DOWN = "link-down"
    NODE_GONE = "node-gone"
    LOST = "lost"
    """A message or a half is lost, so that the ends cannot know what they share."""
    CANCELLED = "cancelled"
    """Who asked for it wants no more."""


Kind: TypeAlias = Literal["keep", "measure"]
"""Types K and M of the link layer: create and keep, or measure directly."""


@dataclass(frozen=True, slots=True)
class Create:
    """A request for pairs of one link, the same at both ends.

    ``number`` of units, each of ``batch`` pairs that are made, kept and used together; None for as many as come.
    ``alpha``: bright-state population of a single-click source that reaches the fidelity wanted, None for the link's
    own. ``deadline`` in emulated seconds.
    """

    purpose: str
    kind: Kind = "keep"
    number: int | None = None
    batch: int = 1
    alpha: float | None = None
    deadline: float = inf


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the link for the purpose's next unit."""

    purpose: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take back all that was asked for the purpose and has not come."""

    purpose: str


@dataclass(frozen=True, slots=True)
class Ok:
    """The purpose has a unit: the id of its first pair, and the emulated time in seconds at which this end knew."""

    purpose: str
    pair: str
    heralded_at: float


@dataclass(frozen=True, slots=True)
class Err:
    """The purpose gets no more pairs."""

    purpose: str
    failure: Failure
    reason: str


Instruction: TypeAlias = Ask | Withdraw | Ok | Err


@dataclass(slots=True)
class _Standing:
    """A request that stands. ``asked`` and ``held`` take up places; ``delivered`` units have come so far."""

    create: Create
    places: int
    asked: int = 0
    held: int = 0
    delivered: int = 0

    def wanted(self) -> int:
        """Count the units that may be asked for now."""
        room = self.places - self.asked - self.held
        if self.create.number is None:
            return room
        return min(room, self.create.number - self.delivered - self.asked)


class LinkService:
    """One end of one link: events in, instructions out, no I/O.

    An event for a purpose that is closed by now is late and changes nothing.
    """

    def __init__(self, link: str) -> None:
        self.link = link
        self._standing: dict[str, _Standing] = {}

    def __contains__(self, purpose: object) -> bool:
        return purpose in self._standing

    def create(self, create: Create, places: int) -> list[Instruction]:
        """Let a request begin with so many places at this end. Raises ``ValueError`` for one that cannot be."""
        if create.purpose in self._standing:
            raise ValueError(f"link {self.link} has a request of purpose {create.purpose} already")
        if places < 1 or create.batch < 1:
            raise ValueError(
                f"a request takes at least one place and one pair, not {places} of {create.batch}"
            )
        if create.number is not None and create.number < 1:
            raise ValueError(f"a request is for at least one unit, not {create.number}")
        self._standing[create.purpose] = _Standing(create, places)
        return self._ask(create.purpose)

    def heralded(self, purpose: str, pair: str, at: float) -> list[Instruction]:
        """A unit has come. One that comes after its request was closed is for the caller to discard.

        Raises ``ValueError`` for one that nobody asked for: there is no place for it.
        """
        standing = self._standing.get(purpose)
        if standing is None:
            return []
        if not standing.asked:
            raise ValueError(f"link {self.link} has made pair {pair}, which {purpose} has not asked for")
        standing.asked -= 1
        standing.held += 1
        standing.delivered += 1
        return [Ok(purpose, pair, at)]

    def freed(self, purpose: str) -> list[Instruction]:
        """A unit was swapped, measured or discarded here: its place is free.

        Raises ``ValueError`` when none is held, since a place would be used twice.
        """
        standing = self._standing.get(purpose)
        if standing is None:
            return []
        if not standing.held:
            raise ValueError(f"{purpose} has freed a place of link {self.link} twice")
        standing.held -= 1
        return self._ask(purpose)

    def refused(self, purpose: str, failure: Failure, reason: str) -> list[Instruction]:
        """The link makes no pairs for the request."""
        if self._standing.pop(purpose, None) is None:
            return []
        return [Withdraw(purpose), Err(purpose, failure, reason)]

    def passed(self, now: float) -> list[Instruction]:
        """Time has passed: end what should have been done by now."""
        late = [name for name, standing in self._standing.items() if standing.create.deadline <= now]
        return [
            instruction
            for purpose in late
            for instruction in self.refused(purpose, Failure.TIMEOUT, f"its deadline passed at {now:.9g} s")
        ]

    def close(self, purpose: str) -> list[Instruction]:
        """Nobody wants more."""
        return [] if self._standing.pop(purpose, None) is None else [Withdraw(purpose)]

    def _ask(self, purpose: str) -> list[Instruction]:
        standing = self._standing[purpose]
        wanted = max(0, standing.wanted())
        standing.asked += wanted
        return [Ask(purpose) for _ in range(wanted)]
