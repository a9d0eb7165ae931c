"""A request for end-to-end pairs, at the node that makes it: find a way, have a circuit installed, find another one
when that fails, and give up in time.

    ROUTING ──routed──▶ INSTALLING ──installed──▶ SERVED ──the last pair──▶ DONE
       ▲                    │ released                │ released
       ├────────────────────┴─────────────────────────┘  the next way, or ask for one that avoids the culprit
       │◀──waited── WAITING ◀──no way left that avoids all culprits
       └──────────────────────────────────────────────▶ FAILED: for good, or the deadline has passed

Events in, instructions out; no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final, TypeAlias

from nodes.link.service import Failure, Kind
from nodes.network.circuit import Distillation
from nodes.network.signalling import Release

FIRST_WAIT: Final = 0.01
LONGEST_WAIT: Final = 1.0
"""Seconds before a request tries again: twice as long every time."""
MOST_WAITS: Final = 8
"""A request without a deadline gives up after so many in a row without a pair."""

_PASSING: Final = (Failure.OUT_OF_MEMORY, Failure.LINK_DOWN, Failure.NODE_GONE, Failure.LOST)
"""Failures of a circuit that another way, or another time, may not have."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked for: ``number`` units of ``batch`` pairs each between ``source`` and ``destination``.

    ``min_fidelity`` as predicted for the way; ``deadline`` in emulated seconds. ``cost``: what routing minimises (rate,
    fidelity, length, hops). ``order``: who swaps when, "asap", "nested", or nodes one after the other.
    ``distillations``, ``window``, ``cutoff``: see ``Circuit``.
    """

    purpose: str
    source: str
    destination: str
    number: int
    kind: Kind = "keep"
    min_fidelity: float = 0.0
    deadline: float = inf
    cost: str = "rate"
    order: tuple[str, ...] = ("asap",)
    distillations: tuple[Distillation, ...] = ()
    window: int = 1
    batch: int = 1
    cutoff: float | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """A way that routing has found: nodes, links, the bright-state population for each link, and what to expect of it.

    ``rate`` in pairs per second; ``delay`` in seconds, of a classical message from end to end.
    """

    nodes: tuple[str, ...]
    links: tuple[str, ...]
    rate: float
    fidelity: float
    delay: float
    alphas: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class AskRoute:
    """Ask the routing controller for ways that avoid what has failed."""

    avoid_nodes: tuple[str, ...] = ()
    avoid_links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Begin:
    """Have a circuit installed for ``number`` units along a way."""

    way: Way
    number: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Tell ``waited`` after so many seconds of emulated time, or half as many more by chance."""

    seconds: float


@dataclass(frozen=True, slots=True)
class End:
    """The request is over: release its circuit, if there is one. ``failure`` None: all is delivered."""

    failure: Failure | None = None
    reason: str = ""


Instruction: TypeAlias = AskRoute | Begin | Wait | End


class State(Enum):
    """What is known of a request."""

    ROUTING = "no way is known"
    INSTALLING = "a way is known; whether its nodes take part is not"
    SERVED = "a circuit is there"
    WAITING = "no way is free for now"
    DONE = "all is delivered"
    FAILED = "there will be no more"


class Request:
    """A request, from its beginning to its end."""

    def __init__(self, demand: Demand) -> None:
        self.demand = demand
        self.state = State.ROUTING
        self.delivered = 0
        self.ways: list[Way] = []
        """The ways on which circuits were tried, in their order."""
        self._untried: list[Way] = []
        self._avoid_nodes: dict[str, None] = {}
        self._avoid_links: dict[str, None] = {}
        self._waits = 0
        self._last = Release()

    @property
    def over(self) -> bool:
        """Tell whether the request has ended."""
        return self.state in (State.DONE, State.FAILED)

    def begin(self) -> list[Instruction]:
        """Begin to look for a way."""
        return [AskRoute()]

    def routed(self, ways: list[Way]) -> list[Instruction]:
        """The controller knows ways, the best one first."""
        if self.state is not State.ROUTING:
            return []
        self._untried = list(ways)
        return self._next()

    def unroutable(self, failure: Failure, reason: str, *, final: bool = False) -> list[Instruction]:
        """The controller knows none: for good, or none that avoids what has failed so far; or it is ``final``."""
        if self.state is not State.ROUTING:
            return []
        if final or (not self._avoid_nodes and not self._avoid_links):
            return self._end(failure, reason)
        if self._last.failure == Failure.UNSUPPORTED:  # which no pause will change
            return self._end(Failure.UNSUPPORTED, self._last.reason)
        self._waits += 1
        if self._waits > MOST_WAITS and self.demand.deadline == inf:
            return self._end(Failure(self._last.failure), self._last.reason)
        self._avoid_nodes.clear()
        self._avoid_links.clear()
        self.state = State.WAITING
        return [Wait(min(FIRST_WAIT * 2 ** (self._waits - 1), LONGEST_WAIT))]

    def waited(self) -> list[Instruction]:
        """The pause is over."""
        if self.state is not State.WAITING:
            return []
        self.state = State.ROUTING
        return [AskRoute()]

    def installed(self) -> list[Instruction]:
        """The circuit is complete."""
        if self.state is State.INSTALLING:
            self.state = State.SERVED
        return []

    def deliver(self) -> list[Instruction]:
        """A unit has been delivered at both ends."""
        if self.over:
            return []
        self.delivered += 1
        self._waits = 0
        if self.delivered < self.demand.number:
            return []
        self.state = State.DONE
        return [End()]

    def released(self, release: Release) -> list[Instruction]:
        """The circuit is over, and not by this request's doing."""
        if self.state not in (State.INSTALLING, State.SERVED):
            return []
        self._last = release
        ends = (self.demand.source, self.demand.destination)
        # an end that has left does not come back, and no way leads past it
        elsewhere = release.failure == Failure.UNSUPPORTED and release.avoid_node not in ("", *ends)
        if (release.failure not in _PASSING and not elsewhere) or (
            release.failure == Failure.NODE_GONE and release.avoid_node in ends
        ):
            return self._end(Failure(release.failure or Failure.CANCELLED), release.reason)
        if release.avoid_node and release.avoid_node not in ends:
            self._avoid_nodes[release.avoid_node] = None
        elif release.avoid_link:
            self._avoid_links[release.avoid_link] = None
        else:  # nobody knows who is to blame: leave the way out, and wait where it was the only one
            self._avoid_links.update(dict.fromkeys(self.ways[-1].links))
        return self._next()

    def unsuitable(self, reason: str) -> list[Instruction]:
        """The way that was to be tried cannot serve the request; another one may."""
        if self.state is not State.INSTALLING:
            return []
        self._last = Release(Failure.UNSUPPORTED, reason)
        if self._untried:
            return self._next()
        return self._end(Failure.UNSUPPORTED, reason)

    def expire(self, unused: int = 0) -> list[Instruction]:
        """The deadline has passed. So many of what was delivered are still kept where they were asked for."""
        if self.over:
            return []
        last = f"; the last that went wrong: {self._last.reason}" if self._last.reason else ""
        kept = f", {unused} of them not used," if unused else ""
        told = f"{self.delivered} of {self.demand.number} were delivered{kept} when the deadline passed{last}"
        return self._end(Failure.TIMEOUT, told)

    def fail(self, failure: Failure, reason: str) -> list[Instruction]:
        """This end sees that no more can be served."""
        return [] if self.over else self._end(failure, reason)

    def cancel(self) -> list[Instruction]:
        """Nobody wants more."""
        return [] if self.over else self._end(Failure.CANCELLED, "nobody wants more")

    def _next(self) -> list[Instruction]:
        """Try the next way that avoids what has failed, or ask for another one."""
        while self._untried:
            way = self._untried.pop(0)
            if self._avoid_nodes.keys().isdisjoint(way.nodes) and self._avoid_links.keys().isdisjoint(
                way.links
            ):
                self.ways.append(way)
                self.state = State.INSTALLING
                return [Begin(way, self.demand.number - self.delivered)]
        self.state = State.ROUTING
        return [AskRoute(tuple(self._avoid_nodes), tuple(self._avoid_links))]

    def _end(self, failure: Failure, reason: str) -> list[Instruction]:
        self.state = State.FAILED
        return [End(failure, reason)]
