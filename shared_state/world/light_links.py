"""Light on a link: single qubits and trains of pulses, sent at one end and received at the other."""

from __future__ import annotations

from typing import Literal

from shared_state.engine.batch import Codes
from shared_state.errors import BadRequest, PulseMismatch
from shared_state.world.detectors import Recoveries, click_drawn, detect
from shared_state.world.ends import Arrived, Detected, DetectedTrain, Ends
from shared_state.world.limits import check_awaited, check_count, check_in_flight
from shared_state.world.occupancy import Occupancy
from shared_state.world.pulses import emit, mean_photon_numbers
from shared_state.world.queues import Ask, Flash, Light, Photon, Place, Ticket


class LightLinks:
    """What is sent over all fibres. ``node`` is who asks; whatever it names must be a link of its own."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._sending = Occupancy(ends.nature.clock.story)
        self._blind = Recoveries(ends.nature.clock.story)

    def transmit(self, node: str, at: float, run: str, link: str, qubit: int) -> None:
        """Put a qubit on the fibre."""
        peer = self._ends.peer(node, run, link)
        self._ends.nature.presence.check_peer(peer, run)
        place = Place("qubit", link, run, peer)
        check_in_flight(self._ends.queues, node, place)
        (holding,) = self._ends.nature.touch(node, at, [qubit], answered=True)
        self._ends.nature.ledger.leave(holding)
        path = self._ends.path(link, node, run)
        arrives = path.carry_qubit(self._ends.nature.state, holding.label)
        if not arrives:
            self._ends.nature.vanish(holding)
        photon = Photon(node, holding if arrives else None, holding.touched + path.delay)
        self._ends.nature.clock.observe(photon.arrives_at)
        self._send(place, photon)

    def receive(self, ticket: Ticket, node: str, at: float, run: str, link: str) -> None:
        """Ask for the next qubit that comes out of the fibre."""
        self.await_light(Ask(ticket, node, at, Place("qubit", link, run, node)))

    def emit_pulses(
        self,
        node: str,
        at: float,
        run: str,
        link: str,
        bits: Codes,
        bases: Codes,
        intensities: Codes | None = None,
    ) -> float:
        """Send a train of pulses through the fibre, after those that leave still; return when the last has left.

        ``intensities`` are indices into those of the link's transmitter; without them every pulse has the first.
        """
        place, start = self.prepare("pulses", node, at, run, link)
        if len(bits) != len(bases):
            raise PulseMismatch(
                f"there are {len(bits)} bits and {len(bases)} bases; a pulse needs one of each."
            )
        check_count(len(bits))
        pulses = self._ends.links[link].pulses
        try:
            means = mean_photon_numbers(intensities, pulses.intensities, len(bits))
        except ValueError as error:
            raise BadRequest(str(error)) from error
        rng = self._ends.nature.rng(f"link/{link}/transmitter/{node}", run)
        train = emit(bits, bases, start, pulses.pulse_rate, means, rng)
        return self.launch(place, Flash(node, self._ends.path(link, node, run).carry_pulses(train)))

    def measure_pulses(self, ticket: Ticket, node: str, at: float, run: str, link: str, bases: Codes) -> None:
        """Ask for the next train of pulses, to be measured in these bases."""
        check_count(len(bases))
        self.await_light(Ask(ticket, node, at, Place("pulses", link, run, node), bases))

    def prepare(
        self, kind: Literal["pulses", "train"], node: str, at: float, run: str, link: str
    ) -> tuple[Place, float]:
        """Check that a train may be sent; return where it will arrive and when its first pulse can leave."""
        peer = self._ends.peer(node, run, link)
        self._ends.nature.presence.check_peer(peer, run)
        place = Place(kind, link, run, peer)
        check_in_flight(self._ends.queues, node, place)
        return place, max(at, self._sending.free_from(f"{link}/{node}", run))

    def launch(self, place: Place, flash: Flash) -> float:
        """Let a train arrive at the other end; return when its last pulse leaves the transmitter."""
        train = flash.train
        left = train.complete_at - train.delay
        self._sending.occupy(f"{place.link}/{flash.sender}", place.run, left)
        self._ends.nature.clock.observe(train.complete_at)
        self._send(place, flash)
        return left

    def await_light(self, ask: Ask) -> None:
        """Answer a request with light that has been sent already, or let it wait for some."""
        place = ask.place
        peer = self._ends.peer(ask.node, place.run, place.link)
        if place.kind == "qubit":
            self._ends.nature.keeping.make_room(ask.node, ask.at, place.run)
            self._ends.nature.ledger.check_free(ask.node)
        if self._ends.queues.has_light(place):
            self._ends.reserve(ask)
            self._arrive(ask, self._ends.queues.take_light(place))
            return
        self._ends.nature.presence.check_peer(peer, place.run)
        if ask.bases is not None:
            check_awaited(self._ends.queues, ask)
        self._ends.reserve(ask)
        self._ends.queues.wait(ask)

    def _send(self, place: Place, light: Light) -> None:
        ask = self._ends.queues.first_ask(place)
        if ask is None:
            self._ends.queues.fly(place, light)
        else:
            self._ends.queues.withdraw(ask.ticket)
            self._arrive(ask, light)

    def _arrive(self, ask: Ask, light: Light) -> None:
        """Let the light meet the request that waited for it."""
        self._ends.release(ask)
        if isinstance(light, Photon):
            qubit = None
            if light.holding is not None:
                self._ends.nature.ledger.enter(light.holding, ask.node, ask.place.run, light.arrives_at)
                qubit = light.holding.qubit
            self._ends.settle(ask.ticket, Arrived(qubit, light.arrives_at))
        elif ask.bases is not None:
            self._ends.settle(ask.ticket, self._detect(light, ask.place, ask.bases))
        else:
            self._ends.settle(ask.ticket, self._detect_drawn(light, ask))

    def _detect(self, light: Flash, place: Place, bases: Codes) -> Detected | PulseMismatch:
        if len(bases) != len(light.train):
            return PulseMismatch(
                f"{light.sender} emitted {len(light.train)} pulses and {place.receiver} measured with "
                f"{len(bases)} bases; the train has passed."
            )
        rng = self._ends.nature.rng(f"link/{place.link}/detectors/{place.receiver}", place.run)
        receiver = f"{place.link}/{place.receiver}"
        blind_until = self._blind.take(receiver, place.run)
        seen = detect(light.train, bases, self._ends.links[place.link].pulses, rng, blind_until)
        self._blind.keep(receiver, place.run, seen.blind_until)
        return Detected(seen.clicked, seen.bits, light.train.complete_at)

    def _detect_drawn(self, light: Flash, ask: Ask) -> DetectedTrain | PulseMismatch:
        place, train = ask.place, light.train
        if ask.pulses != light.promised:
            return PulseMismatch(
                f"{light.sender} sends {light.promised} pulses and {place.receiver} expects {ask.pulses}; "
                f"{len(train)} of them have passed."
            )
        rng = self._ends.nature.rng(f"link/{place.link}/detectors/{place.receiver}", place.run)
        receiver = f"{place.link}/{place.receiver}"
        blind_until = self._blind.take(receiver, place.run)
        clicks = click_drawn(train, self._ends.links[place.link].pulses, rng, blind_until)
        self._blind.keep(receiver, place.run, clicks.blind_until)
        return DetectedTrain(len(train), clicks.indices, clicks.bases, clicks.bits, train.complete_at)
