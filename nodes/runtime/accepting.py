"""Requests that others make of this node: announced by their circuits, accepted by its role, ended by their heads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol

from nodes.link.service import Failure
from nodes.network.signalling import Install, Release
from nodes.network.tidings import Deliver
from nodes.requests import RequestFailed
from nodes.runtime.circuits import LiveCircuit
from nodes.runtime.shares import Nearby, Shares
from nodes.runtime.units import Unit

PATIENCE = 1.0
"""For so many wall seconds, in real time, an end waits for what the head has to say after its last word is due."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The request of ``purpose`` is over, with so many ``delivered`` at its head. ``failure`` is empty if that is
    all.
    """

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
        self._here = network
        self._number = 0
        self._closed: Closed | None = None

    def up(self) -> None:
        """Do nothing: pairs will come."""

    def resume(self, install: Install) -> Release | None:
        """Hear that the head has another circuit made, and by its number what it has; or say why there is none.

        Both ends must have the same pairs. What the head lacks, since its circuit ended before it heard of that, is
        taken back.
        """
        if self._circuit is not None:
            self._circuit.settle()
        if self._ended:
            return Release(Failure.DENIED, f"'{self._here.name}' does not accept the request any more")
        self.deadline = install.deadline
        self._changed.set()
        self._number = max(self._number, install.number)
        if (reason := self._disagreement(self._number - install.number)) is None:
            self._let_go()
            return None
        self.end(RequestFailed(Failure.LOST, reason, self.delivered))
        return Release(Failure.DENIED, reason)

    def attach(self, circuit: LiveCircuit) -> None:
        """Hear of the circuit that serves the request from now on.

        It delivers so long before the deadline that the head hears of it in time.
        """
        self._circuit = circuit
        if self.deadline < inf:
            self._here.at(max(0.0, self.deadline - self._here.delay(self.head)), circuit.stop)
            self._network.task(self._miss_the_end)

    def deliver(self, circuit: LiveCircuit, unit: Unit | None, delivery: Deliver) -> None:
        """Take a unit that both ends share now."""
        super().deliver(circuit, unit, delivery)
        self._conclude()

    def over(self, circuit: LiveCircuit, release: Release) -> None:
        """Wait for another circuit, or for the head to say that there will be none."""
        if self._circuit is circuit:
            self._circuit = None
            self._conclude()

    def close(self, closed: Closed) -> None:
        """Hear that the request is over at its head, of whose pairs some may be on their way here."""
        if self._closed is None:
            self._closed = closed
            if self._circuit is not None and self.delivered >= closed.delivered:
                self._circuit.linger_no_longer()
            self._conclude()
            self._network.task(self._conclude_anyway)

    def lose(self, reason: str) -> None:
        """Want no more."""
        if not self._ended and self._circuit is not None:
            self._circuit.fail(Failure.DENIED, reason)
        self.end(RequestFailed(Failure.LOST, reason, self.delivered))

    def leave(self) -> None:
        """Want no more."""
        self.deny(f"the role at '{self._here.name}' wants no more")

    def abandon(self) -> None:
        """Have what nobody has claimed given up."""
        if self._taker is None:
            self.claim(None)

    def deny(self, reason: str) -> None:
        """Refuse what the head still wants."""
        if not self._ended and self._circuit is not None and self.delivered < self._number:
            self._circuit.fail(Failure.DENIED, reason)
        self.end(None)

    async def finished(self) -> None:
        """Return: the head sees to the end of its circuits."""

    def _conclude(self) -> None:
        """End as the head has ended, when what it has is here."""
        closed = self._closed
        if closed is None or self._ended or (self.delivered < closed.delivered and self._circuit is not None):
            return
        reason = self._disagreement(closed.delivered)
        self._let_go()
        if closed.failure:
            self.end(RequestFailed(closed.failure, closed.reason, closed.delivered))
        else:
            self.end(None if reason is None else RequestFailed(Failure.LOST, reason, closed.delivered))

    def _disagreement(self, number: int) -> str | None:
        """Take back what the head lacks, which has so many units; say what keeps the ends from having the same."""
        if taken := self._take_back(max(0, self.delivered - number)):
            return f"'{self.head}' lacks {taken} of what '{self._here.name}' has got: a message is lost"
        if missing := max(0, number - self.delivered):
            return f"'{self._here.name}' lacks {missing} of what '{self.head}' has got: a message is lost"
        return None

    async def _conclude_anyway(self) -> None:
        """In real time a message may be lost that nobody misses."""
        if (patience := self._here.clock.deadline(PATIENCE)) is not None:
            await asyncio.sleep(patience)
            self._network.event(self._stop_waiting)

    def _stop_waiting(self) -> None:
        self._circuit = None
        self._conclude()

    async def _miss_the_end(self) -> None:
        """In real time the head's last word may be lost."""
        clock = self._here.clock
        if (patience := clock.deadline(PATIENCE)) is not None:
            await clock.until(self.deadline + self._here.delay(self.head))
            await asyncio.sleep(patience)
            missed = f"'{self.head}' has not said how it ended when the deadline passed"
            self._network.event(lambda: self.end(RequestFailed(Failure.TIMEOUT, missed, self.delivered)))


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
        if acceptance.head != head:
            return Release(Failure.DENIED, f"'{self._network.name}' accepts that request from another node")
        return acceptance.resume(install) or acceptance

    def accept(self, head: str, purpose: str) -> Acceptance:
        """Return a request of that purpose, which may not have come yet."""
        return self._find(head, purpose)

    def closed(self, sender: str, closed: Closed) -> None:
        """Hear from a request's head that it is over."""
        acceptance = self._find(sender, closed.purpose)
        if acceptance.head == sender:
            acceptance.close(closed)

    def end_round(self, session: str) -> None:
        """Refuse what the round that is over here has not accepted."""
        self._over.add(session)
        for purpose in [known for known in self._known if known.partition("/")[0] == session]:
            acceptance = self._known.pop(purpose)
            acceptance.deny(f"the role at '{self._network.name}' has ended")
            acceptance.abandon()

    def gone(self, party: str) -> None:
        """Hear that a node has left."""
        for acceptance in self._known.values():
            if acceptance.head == party:
                acceptance.end(
                    RequestFailed(Failure.NODE_GONE, f"node '{party}' has left", acceptance.delivered)
                )

    def lost(self, sender: str, concerned: Callable[[str], bool]) -> bool:
        """Hear that the last word of a request's head is lost; tell whether there is such a request."""
        lost = [
            acceptance
            for purpose, acceptance in self._known.items()
            if acceptance.head == sender and concerned(purpose)
        ]
        for acceptance in lost:
            told = f"a message from '{sender}' is lost"
            acceptance.end(RequestFailed(Failure.LOST, told, acceptance.delivered))
        return bool(lost)

    def _find(self, head: str, purpose: str) -> Acceptance:
        if purpose not in self._known:
            self._known[purpose] = Acceptance(self._network, head)
        return self._known[purpose]
