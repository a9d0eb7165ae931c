"""Requests that others make of this node: announced by their circuits, accepted by its role, ended by their heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol

from nodes.link.service import Failure
from nodes.network.signalling import Install, Release
from nodes.requests import RequestFailed
from nodes.runtime.circuits import LiveCircuit
from nodes.runtime.shares import Nearby, Shares


@dataclass(frozen=True, slots=True)
class Closed:
    """The request of ``purpose`` is over, with so many ``delivered`` at its head. ``failure`` is empty if that is all."""

    purpose: str
    delivered: int
    failure: str = ""
    reason: str = ""


class Surroundings(Nearby, Protocol):
    """What an acceptance needs of its node's network layer."""

    name: str

    def delay(self, node: str) -> float:
        """Return the seconds that a message to a node takes at least."""

    def at(self, time: float, event: Callable[[], None]) -> Callable[[], object]:
        """Let something happen at an emulated time; return what calls it off."""


class Acceptance(Shares):
    """The accepting end of a request that ``head`` makes; it is the right end of its circuits."""

    corrects = True

    def __init__(self, network: Surroundings, head: str) -> None:
        super().__init__(network)
        self.head = head
        self._circuit: LiveCircuit | None = None
        self._wanted = 0
        self._here = network

    def up(self) -> None:
        """Do nothing: pairs will come."""

    def attach(self, circuit: LiveCircuit) -> None:
        """Hear of the circuit that serves the request from now on.

        It delivers so long before the deadline that the head hears of it in time.
        """
        self._circuit = circuit
        self._wanted = self.delivered + int(circuit.tracker.limit)
        if self.deadline < inf:
            self._here.at(max(0.0, self.deadline - self._here.delay(self.head)), circuit.stop)

    def over(self, circuit: LiveCircuit, release: Release) -> None:
        """Wait for another circuit, or for the head to say that there will be none."""
        if self._circuit is circuit:
            self._circuit = None

    def leave(self) -> None:
        """Want no more."""
        self.deny(f"the role at '{self._here.name}' wants no more")

    def deny(self, reason: str) -> None:
        """Refuse what the head still wants."""
        if not self._ended and self._circuit is not None and self.delivered < self._wanted:
            self._circuit.fail(Failure.DENIED, reason)
        self.end(None)

    async def finished(self) -> None:
        """Return: the head sees to the end of its circuits."""


class Acceptances:
    """The requests made of this node in one run, by purpose: ``ROUND/ROLE-ROLE/NUMBER``."""

    def __init__(self, network: Surroundings) -> None:
        self._network = network
        self._known: dict[str, Acceptance] = {}
        self._over: set[str] = set()
        self.roles = False
        """Whether this node plays a role: a mere repeater accepts nothing."""

    def expect(self, head: str, install: Install) -> Acceptance | Release:
        """Return the end of a circuit that comes in for a request, or the refusal."""
        purpose = install.circuit.purpose
        if not self.roles or purpose.partition("/")[0] in self._over:
            return Release(Failure.DENIED, f"no role at '{self._network.name}' accepts the request")
        acceptance = self._find(head, purpose)
        if acceptance.head != head or acceptance._ended:
            return Release(Failure.DENIED, f"'{self._network.name}' does not accept the request any more")
        acceptance.deadline = install.deadline
        return acceptance

    def accept(self, head: str, purpose: str) -> Acceptance:
        """Return a request of that purpose, which may not have come yet."""
        return self._find(head, purpose)

    def closed(self, sender: str, closed: Closed) -> None:
        """Hear from a request's head that it is over."""
        acceptance = self._find(sender, closed.purpose)
        if acceptance.head == sender:
            failed = (
                RequestFailed(closed.failure, closed.reason, closed.delivered) if closed.failure else None
            )
            acceptance.end(failed)

    def end_round(self, session: str) -> None:
        """Refuse what the round that is over here has not accepted."""
        self._over.add(session)
        for purpose in [known for known in self._known if known.partition("/")[0] == session]:
            self._known.pop(purpose).deny(f"the role at '{self._network.name}' has ended")

    def gone(self, party: str) -> None:
        """Hear that a node has left."""
        for acceptance in self._known.values():
            if acceptance.head == party:
                acceptance.end(
                    RequestFailed(Failure.NODE_GONE, f"node '{party}' has left", acceptance.delivered)
                )

    def lost(self, sender: str) -> None:
        """Hear that a message of a request's head is lost: it may have been the end of any of them."""
        for acceptance in self._known.values():
            if acceptance.head == sender:
                lost = f"a message from '{sender}' is lost"
                acceptance.end(RequestFailed(Failure.LOST, lost, acceptance.delivered))

    def _find(self, head: str, purpose: str) -> Acceptance:
        if purpose not in self._known:
            self._known[purpose] = Acceptance(self._network, head)
        return self._known[purpose]
