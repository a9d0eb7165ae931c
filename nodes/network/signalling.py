"""How a circuit comes to be and ends: hop by hop along its path, like the label-switched paths of MPLS.

    head           node           node           tail
     ├── Install ──▶├── Install ──▶├── Install ──▶│      each node sets memories aside, or answers Release
     │◀─ Installed ─┤◀─ Installed ─┤◀─ Installed ─┤      from here on links make pairs for it
     │              │              │              │
     ├── Release ──▶├── Release ──▶├── Release ──▶│      everything of it is given up
     │◀─────────────── Released ──────────────────┤

The end that hears last that a pair is shared keeps its halves until the other one's ``Released``: what that one has
delivered by then has been told before it, so both have the same pairs. It is the head, or, where pairs are purified
from end to end, the tail; then the head says ``Released``, too.

Whoever sees that the circuit cannot go on (no memory, link down, neighbour gone, message lost) sends ``Release`` both
ways, with the reason and with what to avoid next time. Nobody waits for a memory: a node that lacks it refuses, so no
circuits can wait for each other's memories, and the head decides whether and when to try again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import TypeAlias

from nodes.link.service import Failure
from nodes.network.circuit import Circuit, ladder


@dataclass(frozen=True, slots=True)
class Install:
    """Take part in a circuit that is to deliver ``number`` units more until ``deadline``, in emulated seconds.

    ``head_keeps``: for so many seconds after its herald the head's memory keeps a half.
    """

    circuit: Circuit
    number: int
    deadline: float = inf
    head_keeps: float = inf


@dataclass(frozen=True, slots=True)
class Installed:
    """All nodes from here to the tail take part."""


@dataclass(frozen=True, slots=True)
class Release:
    """The circuit is over. ``failure`` is one of ``Failure``, empty where all is delivered; what went wrong was at
    ``avoid_node`` or on ``avoid_link``, where there is something to avoid."""

    failure: str = ""
    reason: str = ""
    avoid_node: str = ""
    avoid_link: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """The circuit is over at this end, which delivers no more of its pairs. From the tail: so every node knows it."""


Signal: TypeAlias = Install | Installed | Release | Released


@dataclass(frozen=True, slots=True)
class Signalled:
    """Tell the node at ``position``."""

    position: int
    signal: Signal


@dataclass(frozen=True, slots=True)
class Up:
    """The circuit is complete: ask the links for pairs."""


@dataclass(frozen=True, slots=True)
class Over:
    """The circuit is over here: give everything up. ``release`` says why."""

    release: Release


Instruction: TypeAlias = Signalled | Up | Over


class State(Enum):
    """What is known of a circuit."""

    OFFERED = "this node takes part; whether all do is not known"
    UP = "all nodes take part"
    OVER = "it is over"


def last_to_know(circuit: Circuit) -> int:
    """Return the position of the end that hears of a pair when the other one has delivered it already."""
    return circuit.last if circuit.protocols(ladder(circuit, 0, "right")[-1]) else 0


class Signalling:
    """One node's part in the life of one circuit. Memories have been set aside for it before this is made."""

    def __init__(self, install: Install, here: int) -> None:
        self.install = install
        self.circuit = install.circuit
        self.here = here
        self.state = State.OFFERED

    def begin(self) -> list[Instruction]:
        """Pass the circuit on; at the tail it is complete."""
        if self.here < self.circuit.last:
            return [Signalled(self.here + 1, self.install)]
        self.state = State.UP
        return [Signalled(self.here - 1, Installed()), Up()]

    def received(self, sender: int, signal: Signal) -> list[Instruction]:
        """Another node of the circuit says something. What comes late, or from who cannot know, changes nothing."""
        match self.state, signal:
            case State.OFFERED, Installed() if sender == self.here + 1:
                self.state = State.UP
                further: list[Instruction] = [Signalled(self.here - 1, Installed())] if self.here else []
                return [*further, Up()]
            case ((State.OFFERED | State.UP), Release()) if abs(sender - self.here) == 1:
                return self._end(signal, to=2 * self.here - sender)
            case _:
                return []

    def fail(
        self, failure: Failure, reason: str, *, avoid_node: str = "", avoid_link: str = ""
    ) -> list[Instruction]:
        """The circuit cannot go on, as this node sees."""
        if self.state is State.OVER:
            return []
        release = Release(failure, reason, avoid_node, avoid_link)
        back: list[Instruction] = [Signalled(self.here - 1, release)] if self.here else []
        return back + self._end(release, to=self.here + 1)

    def done(self, failure: Failure | None = None, reason: str = "") -> list[Instruction]:
        """The head wants no more, because all is delivered or because of a ``failure`` of its request."""
        if self.state is State.OVER:
            return []
        return self._end(Release(failure or "", reason), to=self.here + 1)

    def _end(self, release: Release, to: int) -> list[Instruction]:
        self.state = State.OVER
        instructions: list[Instruction] = []
        if 0 <= to <= self.circuit.last:
            instructions.append(Signalled(to, release))
        if self.here == self.circuit.last:
            instructions.append(Signalled(0, Released()))
        elif self.here == 0 and last_to_know(self.circuit):
            instructions.append(Signalled(self.circuit.last, Released()))
        return [*instructions, Over(release)]
