"""The links: what crosses them needs both ends, so here requests wait for each other.

A request that waits carries a ticket; when its outcome is known, ``settle`` is called with both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from shared_state.config import LinkDevices
from shared_state.engine.batch import Codes
from shared_state.errors import BadRequest, PulseMismatch, RunClosed, SharedStateError
from shared_state.ledger import Holding
from shared_state.world.heralding import waiting_time, werner_state
from shared_state.world.limits import check_awaited, check_in_flight
from shared_state.world.nature import Nature
from shared_state.world.occupancy import Occupancy
from shared_state.world.path import Path, path_of
from shared_state.world.presence import peer_departed, peer_left_run
from shared_state.world.pulses import detect, emit
from shared_state.world.queues import Ask, Flash, Light, Photon, Place, Queues, Ticket


class Delivered(NamedTuple):
    """A heralded pair has reached this end at emulated ``time``."""

    qubit: int
    pair: str
    time: float


class Arrived(NamedTuple):
    """A transmitted qubit, or None where it was lost, has arrived at emulated ``time``."""

    qubit: int | None
    time: float


class Detected(NamedTuple):
    """A train of pulses has been measured; the last pulse has passed at emulated ``time``."""

    clicked: Codes
    bits: Codes
    time: float


Outcome: TypeAlias = Delivered | Arrived | Detected | SharedStateError


class Links:
    """All links of the lab. ``node`` is who asks; whatever it names must be a link of its own.

    Raised at once: BadRequest, RunClosed, PeerDeparted, PeerLeftRun, NoFreeMemory, and what Nature raises.
    Settled later: an outcome, or one of the first four when a party leaves.
    """

    def __init__(self, nature: Nature, settle: Callable[[Ticket, Outcome], None]) -> None:
        self.queues = Queues()
        self._nature = nature
        self._links = nature.world.links
        self._settle = settle
        self._taps = dict(nature.world.taps)
        self._paths: dict[tuple[str, str], Path] = {}
        self._sources = {name: link.source for name, link in self._links.items() if link.source is not None}
        self._states = {name: werner_state(source.fidelity) for name, source in self._sources.items()}
        self._pairs: Counter[str] = Counter()
        self._sending = Occupancy(nature.clock.story)
        self._heralding = Occupancy(nature.clock.story)

    def pair(self, ticket: Ticket, node: str, at: float, run: str, link: str) -> None:
        """Ask for a heralded pair; its generation starts when both ends have asked and the source is free."""
        peer = self._peer(node, run, link)
        if link not in self._sources:
            raise BadRequest(f"link {link!r} has no source of pairs; give it one, or swap over other links.")
        self._nature.presence.check_peer(peer, run)
        ask = Ask(ticket, node, at, Place("pair", link, run, ""))
        self._nature.ledger.reserve(node, run)
        other = self.queues.first_ask(ask.place)
        if other is None or other.node == node:
            self.queues.wait(ask)
            return
        self.queues.withdraw(other.ticket)
        first, second = (ask, other) if self._links[link].endpoints[0] == node else (other, ask)
        self._herald(first, second)

    def transmit(self, node: str, at: float, run: str, link: str, qubit: int) -> None:
        """Put a qubit on the fibre."""
        peer = self._peer(node, run, link)
        self._nature.presence.check_peer(peer, run)
        place = Place("qubit", link, run, peer)
        check_in_flight(self.queues, node, place)
        (holding,) = self._nature.touch(node, at, [qubit], answered=True)
        self._nature.ledger.leave(holding)
        path = self._path(link, node)
        arrives = path.carry_qubit(self._nature.state, holding.label)
        if not arrives:
            self._nature.vanish(holding)
        photon = Photon(node, holding if arrives else None, holding.touched + path.delay)
        self._nature.clock.observe(photon.arrives_at)
        self._send(place, photon)

    def receive(self, ticket: Ticket, node: str, at: float, run: str, link: str) -> None:
        """Ask for the next qubit that comes out of the fibre."""
        self._await_light(Ask(ticket, node, at, Place("qubit", link, run, node)))

    def emit_pulses(self, node: str, at: float, run: str, link: str, bits: Codes, bases: Codes) -> float:
        """Send a train of pulses through the fibre, after those that leave still; return when the last has left."""
        peer = self._peer(node, run, link)
        self._nature.presence.check_peer(peer, run)
        if len(bits) != len(bases):
            raise PulseMismatch(
                f"there are {len(bits)} bits and {len(bases)} bases; a pulse needs one of each."
            )
        place, device = Place("pulses", link, run, peer), f"{link}/{node}"
        check_in_flight(self.queues, node, place)
        start = max(at, self._sending.free_from(device, run))
        train = emit(bits, bases, start, self._links[link].pulses.pulse_rate)
        self._sending.occupy(device, run, train.complete_at)
        arriving = self._path(link, node).carry_pulses(train)
        self._nature.clock.observe(arriving.complete_at)
        self._send(place, Flash(node, arriving))
        return train.complete_at

    def measure_pulses(self, ticket: Ticket, node: str, at: float, run: str, link: str, bases: Codes) -> None:
        """Ask for the next train of pulses, to be measured in these bases."""
        self._await_light(Ask(ticket, node, at, Place("pulses", link, run, node), bases))

    def withdraw(self, ticket: Ticket) -> bool:
        """Take a waiting request back; tell whether it did wait."""
        ask = self.queues.withdraw(ticket)
        if ask is not None:
            self._release(ask)
        return ask is not None

    def close_run(self, node: str, run: str) -> int:
        """End the node's part of a run; return how many qubits that traced out. What it sent flies on."""
        nature = self._nature
        nature.presence.leave(node, run)
        for ask in self.queues.asks(run):
            if ask.node == node:
                self._fail(ask, RunClosed(f"{node} has ended its part of run {run!r} meanwhile."))
            elif node in self._links[ask.place.link].endpoints:
                self._fail(ask, peer_left_run(node, run))
        for light in self.queues.remove_light(run, lambda place, _: place.receiver == node):
            self._absorb(light)
        for link, devices in self._links.items():
            if node in devices.endpoints:
                # who waits for a Poisson process waits no longer for having begun later
                self._heralding.release(link, run)
        return nature.drop_run(node, run)

    def depart(self, node: str) -> None:
        """Remove all traces of a node whose session has ended, and tell those who wait for it."""
        for ask in self.queues.asks(None):
            if ask.node == node:
                self.withdraw(ask.ticket)
            elif node in self._links[ask.place.link].endpoints:
                self._fail(ask, peer_departed(node))
        for light in self.queues.remove_light(
            None, lambda place, light: node in (place.receiver, light.sender)
        ):
            if isinstance(light, Photon) and light.holding is not None:
                self._nature.bereave(light.holding, node)
            self._absorb(light)
        self._nature.depart(node)

    def set_tap(self, name: str, enabled: bool) -> None:
        """Attach or detach an eavesdropper."""
        if name not in self._taps:
            raise BadRequest(f"there is no tap {name!r}; there are {_names(self._taps)}.")
        self._taps[name] = replace(self._taps[name], enabled=enabled)
        self._paths.clear()

    def _await_light(self, ask: Ask) -> None:
        place = ask.place
        peer = self._peer(ask.node, place.run, place.link)
        if place.kind == "qubit":
            self._nature.ledger.check_free(ask.node)
        if self.queues.has_light(place):
            self._reserve(ask)
            self._arrive(ask, self.queues.take_light(place))
            return
        self._nature.presence.check_peer(peer, place.run)
        if ask.bases is not None:
            check_awaited(self.queues, ask)
        self._reserve(ask)
        self.queues.wait(ask)

    def _send(self, place: Place, light: Light) -> None:
        ask = self.queues.first_ask(place)
        if ask is None:
            self.queues.fly(place, light)
        else:
            self.queues.withdraw(ask.ticket)
            self._arrive(ask, light)

    def _arrive(self, ask: Ask, light: Light) -> None:
        """Let the light meet the request that waited for it."""
        self._release(ask)
        if isinstance(light, Photon):
            qubit = None
            if light.holding is not None:
                self._nature.ledger.enter(light.holding, ask.node, ask.place.run, light.arrives_at)
                qubit = light.holding.qubit
            self._settle(ask.ticket, Arrived(qubit, light.arrives_at))
        elif ask.bases is not None:
            self._settle(ask.ticket, self._detect(light, ask.place, ask.bases))

    def _detect(self, light: Flash, place: Place, bases: Codes) -> Detected | PulseMismatch:
        if len(bases) != len(light.train):
            return PulseMismatch(
                f"{light.sender} emitted {len(light.train)} pulses and {place.receiver} measured with "
                f"{len(bases)} bases; the train has passed."
            )
        rng = self._nature.dice.stream(f"link/{place.link}/detectors/{place.receiver}")
        clicked, bits = detect(light.train, bases, self._links[place.link].pulses, rng)
        return Detected(clicked, bits, light.train.complete_at)

    def _herald(self, first: Ask, second: Ask) -> None:
        """Deliver a pair to both ends: the link's first endpoint holds the first half."""
        nature, link = self._nature, first.place.link
        source = nature.dice.stream(f"link/{link}/source")
        run = first.place.run
        start = max(first.at, second.at, self._heralding.free_from(link, run))
        time = start + waiting_time(self._sources[link], source)
        self._heralding.occupy(link, run, time)
        nature.clock.observe(time)
        self._pairs[link] += 1
        pair = f"{link}/{self._pairs[link]}"
        halves = [Holding(label, pair=pair) for label in nature.new_qubits(self._states[link])]
        halves[0].partner, halves[1].partner = halves[1], halves[0]
        for ask, half in zip((first, second), halves, strict=True):
            self._release(ask)
            nature.ledger.enter(half, ask.node, run, time)
        for ask, half in zip((first, second), halves, strict=True):
            self._settle(ask.ticket, Delivered(half.qubit, pair, time))

    def _peer(self, node: str, run: str, link: str) -> str:
        """Return the other end of the node's link."""
        self._nature.presence.check_open(node, run)
        devices = self._links.get(link)
        if devices is None or node not in devices.endpoints:
            own = [name for name, other in self._links.items() if node in other.endpoints]
            raise BadRequest(f"{node} has no link {link!r}; its links are {_names(own)}.")
        return _other_end(devices, node)

    def _path(self, link: str, sender: str) -> Path:
        if (link, sender) not in self._paths:
            taps = {name: tap for name, tap in self._taps.items() if tap.link == link and tap.enabled}
            self._paths[link, sender] = path_of(link, self._links[link], sender, taps, self._nature.dice)
        return self._paths[link, sender]

    def _fail(self, ask: Ask, error: SharedStateError) -> None:
        self.withdraw(ask.ticket)
        self._settle(ask.ticket, error)

    def _absorb(self, light: Light) -> None:
        if isinstance(light, Photon) and light.holding is not None:
            self._nature.vanish(light.holding)

    def _reserve(self, ask: Ask) -> None:
        if ask.place.kind != "pulses":
            self._nature.ledger.reserve(ask.node, ask.place.run)

    def _release(self, ask: Ask) -> None:
        if ask.place.kind != "pulses":
            self._nature.ledger.release(ask.node, ask.place.run)


def _other_end(devices: LinkDevices, node: str) -> str:
    first, second = devices.endpoints
    return second if node == first else first


def _names(names: Collection[str]) -> str:
    return ", ".join(names) or "none"
