"""Light on a link: single qubits and trains of pulses, sent at one end and received at the other."""

from __future__ import annotations

from shared_state.engine.batch import Codes
from shared_state.errors import PulseMismatch
from shared_state.world.ends import Arrived, Detected, Ends
from shared_state.world.limits import check_awaited, check_in_flight
from shared_state.world.occupancy import Occupancy
from shared_state.world.pulses import detect, emit
from shared_state.world.queues import Ask, Flash, Light, Photon, Place, Ticket


class LightLinks:
    """What is sent over all fibres. ``node`` is who asks; whatever it names must be a link of its own."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._sending = Occupancy(ends.nature.clock.story)

    def transmit(self, node: str, at: float, run: str, link: str, qubit: int) -> None:
        """Put a qubit on the fibre."""
        peer = self._ends.peer(node, run, link)
        self._ends.nature.presence.check_peer(peer, run)
        place = Place("qubit", link, run, peer)
        check_in_flight(self._ends.queues, node, place)
        (holding,) = self._ends.nature.touch(node, at, [qubit], answered=True)
        self._ends.nature.ledger.leave(holding)
        path = self._ends.path(link, node)
        arrives = path.carry_qubit(self._ends.nature.state, holding.label)
        if not arrives:
            self._ends.nature.vanish(holding)
        photon = Photon(node, holding if arrives else None, holding.touched + path.delay)
        self._ends.nature.clock.observe(photon.arrives_at)
        self._send(place, photon)

    def receive(self, ticket: Ticket, node: str, at: float, run: str, link: str) -> None:
        """Ask for the next qubit that comes out of the fibre."""
        self._await_light(Ask(ticket, node, at, Place("qubit", link, run, node)))

    def emit_pulses(self, node: str, at: float, run: str, link: str, bits: Codes, bases: Codes) -> float:
        """Send a train of pulses through the fibre, after those that leave still; return when the last has left."""
        peer = self._ends.peer(node, run, link)
        self._ends.nature.presence.check_peer(peer, run)
        if len(bits) != len(bases):
            raise PulseMismatch(
                f"there are {len(bits)} bits and {len(bases)} bases; a pulse needs one of each."
            )
        place, device = Place("pulses", link, run, peer), f"{link}/{node}"
        check_in_flight(self._ends.queues, node, place)
        start = max(at, self._sending.free_from(device, run))
        train = emit(bits, bases, start, self._ends.links[link].pulses.pulse_rate)
        self._sending.occupy(device, run, train.complete_at)
        arriving = self._ends.path(link, node).carry_pulses(train)
        self._ends.nature.clock.observe(arriving.complete_at)
        self._send(place, Flash(node, arriving))
        return train.complete_at

    def measure_pulses(self, ticket: Ticket, node: str, at: float, run: str, link: str, bases: Codes) -> None:
        """Ask for the next train of pulses, to be measured in these bases."""
        self._await_light(Ask(ticket, node, at, Place("pulses", link, run, node), bases))

    def _await_light(self, ask: Ask) -> None:
        place = ask.place
        peer = self._ends.peer(ask.node, place.run, place.link)
        if place.kind == "qubit":
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

    def _detect(self, light: Flash, place: Place, bases: Codes) -> Detected | PulseMismatch:
        if len(bases) != len(light.train):
            return PulseMismatch(
                f"{light.sender} emitted {len(light.train)} pulses and {place.receiver} measured with "
                f"{len(bases)} bases; the train has passed."
            )
        rng = self._ends.nature.dice.stream(f"link/{place.link}/detectors/{place.receiver}")
        clicked, bits = detect(light.train, bases, self._ends.links[place.link].pulses, rng)
        return Detected(clicked, bits, light.train.complete_at)
