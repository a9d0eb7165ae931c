"""Heralded pairs: both ends of a link ask, its source makes one, both hold a half."""

from __future__ import annotations

from collections import Counter

from shared_state.config import WernerSource
from shared_state.errors import BadRequest
from shared_state.ledger import Holding
from shared_state.world.ends import Delivered, Ends
from shared_state.world.heralding import waiting_time, werner_state
from shared_state.world.occupancy import Occupancy
from shared_state.world.queues import Ask, Place, Ticket


class PairLinks:
    """The sources of all links. ``node`` is who asks; whatever it names must be a link of its own."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._sources = {
            name: link.source for name, link in ends.links.items() if isinstance(link.source, WernerSource)
        }
        self._states = {name: werner_state(source.fidelity) for name, source in self._sources.items()}
        self._pairs: Counter[str] = Counter()
        self._busy = Occupancy(ends.nature.clock.story)

    def pair(self, ticket: Ticket, node: str, at: float, run: str, link: str) -> None:
        """Ask for a heralded pair; its generation starts when both ends have asked and the source is free."""
        peer = self._ends.peer(node, run, link)
        if link not in self._sources:
            raise BadRequest(f"link {link!r} has no source of pairs; give it one, or swap over other links.")
        self._ends.nature.presence.check_peer(peer, run)
        ask = Ask(ticket, node, at, Place("pair", link, run, ""))
        self._ends.nature.ledger.reserve(node, run)
        other = self._ends.queues.first_ask(ask.place)
        if other is None or other.node == node:
            self._ends.queues.wait(ask)
            return
        self._ends.queues.withdraw(other.ticket)
        first, second = (ask, other) if self._ends.links[link].endpoints[0] == node else (other, ask)
        self._herald(first, second)

    def release(self, node: str, run: str) -> None:
        """Give up the run's place at the sources of the node's links."""
        for link, devices in self._ends.links.items():
            if node in devices.endpoints:
                # who waits for a Poisson process waits no longer for having begun later
                self._busy.release(link, run)

    def _herald(self, first: Ask, second: Ask) -> None:
        """Deliver a pair to both ends: the link's first endpoint holds the first half."""
        nature, link = self._ends.nature, first.place.link
        source = nature.dice.stream(f"link/{link}/source")
        run = first.place.run
        start = max(first.at, second.at, self._busy.free_from(link, run))
        time = start + waiting_time(self._sources[link], source)
        self._busy.occupy(link, run, time)
        nature.clock.observe(time)
        self._pairs[link] += 1
        pair = f"{link}/{self._pairs[link]}"
        halves = [Holding(label, pair=pair) for label in nature.new_qubits(self._states[link])]
        halves[0].partner, halves[1].partner = halves[1], halves[0]
        for ask, half in zip((first, second), halves, strict=True):
            self._ends.release(ask)
            nature.ledger.enter(half, ask.node, run, time)
        for ask, half in zip((first, second), halves, strict=True):
            self._ends.settle(ask.ticket, Delivered(half.qubit, pair, time))
