"""The entanglement network at one node, in one run: its circuits, its part in requests, and their mail.

One loop takes events, one after the other: messages, heralds, outcomes, timers. Each is handled at once by the cores
under ``nodes.link`` and ``nodes.network``; what they want said goes out when no event is left, so that what is known at
the same time travels together.

Sessions: ``RUN:net`` with the routing controller, ``RUN:net:CIRCUIT`` for a circuit, ``RUN:net:PURPOSE`` between the
ends of a request. A message that is lost for good spoils its own session, so one circuit, or one request.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from math import inf
from typing import Any

from broker.envelope import Envelope
from nodes import codec
from nodes.errors import PeerGone, ProtocolViolation
from nodes.link.service import Failure, LinkService
from nodes.network.circuit import Side
from nodes.network.control import NoRoutes, RouteRequest, Routes
from nodes.network.memories import MemoryBudget
from nodes.network.signalling import Install, Installed, Release, Released, Signal
from nodes.network.tidings import Send, Tiding, Tidings
from nodes.ports import Coin
from nodes.runtime.accepting import Acceptance, Acceptances, Closed
from nodes.runtime.channel import Channel
from nodes.runtime.circuit_ports import End
from nodes.runtime.circuits import LiveCircuit
from nodes.runtime.clock import RunClock
from nodes.runtime.inquiries import Inquiries
from nodes.runtime.link_units import Wire
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import CONTROLLER
from nodes.runtime.qubits import Register
from shared_state.client import NodeClient

_SIGNALS: Mapping[str, type[Signal]] = {
    kind.__name__: kind for kind in (Install, Installed, Release, Released)
}
PROTOCOL = "network"
_LONGEST_SESSION = 128


@dataclass(frozen=True, slots=True)
class Locality:
    """What a node knows of its place in the network: ``links`` that store pairs, by name, with who is at the other
    end; ``channels`` for classical messages by node; and its own ``name``. Its memories keep
    a qubit for ``cutoff`` seconds."""

    name: str
    links: Mapping[str, str]
    channels: Mapping[str, Channel]
    cutoff: float = inf


class NetworkStack:
    """The network layer of a node in a run. ``memories`` is shared by all runs of the node; ``deadline`` in wall
    seconds bounds waits for what stands outside of emulated time."""

    def __init__(
        self,
        run: str,
        locality: Locality,
        client: NodeClient,
        clock: RunClock,
        office: PostOffice,
        coin: Coin,
        memories: MemoryBudget,
        deadline: float,
    ) -> None:
        self.run = run
        self.name = locality.name
        self.clock = clock
        self.client = client
        self.coin = coin
        self.deadline = deadline
        self.acceptances = Acceptances(self)
        self._locality = locality
        self._office = office
        self._memories = memories
        self._session = f"{run}:net"
        self._inquiries = Inquiries(office, clock, self._session, deadline)
        self._events: asyncio.Queue[Callable[[], None]] = asyncio.Queue()
        self._circuits: dict[str, LiveCircuit] = {}
        self._services = {link: LinkService(link) for link in locality.links}
        self._outbox: dict[tuple[str, str], list[object]] = {}
        self._numbers = count(1)
        self._endings: dict[str, Callable[[], None]] = {}
        self._lent = 0
        self._early: defaultdict[str, deque[tuple[float, Envelope]]] = defaultdict(deque)
        self._forgotten = asyncio.Event()
        self._group: asyncio.TaskGroup

    async def serve(self) -> None:
        """Take part until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            self._office.subscribe(self._session, self)
            try:
                while True:
                    (await self._events.get())()
                    while not self._events.empty():
                        self._events.get_nowait()()
                    await self._flush()
            finally:
                self._office.unsubscribe(self._session)
                promised = sum(circuit.promised for circuit in self._circuits.values())
                self._memories.release(promised + self._lent)

    def end_round(self, session: str) -> None:
        """Refuse what the round that is over has not accepted."""
        self.event(partial(self.acceptances.end_round, session))

    async def idle(self) -> None:
        """Wait until nothing is to be done, and no circuit here any more, nor anything that a role has got by one."""
        done = asyncio.Event()
        self.event(done.set)
        await done.wait()
        while self._circuits:
            self._forgotten.clear()
            await self._forgotten.wait()

    def tags(self) -> list[str]:
        """List the tags under which circuits still hold something here."""
        return [circuit.register.run for circuit in self._circuits.values()]

    # what circuits and requests need

    def event(self, event: Callable[[], None]) -> None:
        """Let something happen when what has happened before is done."""
        self._events.put_nowait(event)

    def task(
        self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object
    ) -> Callable[[], object]:
        """Do something that takes time; return what calls it off."""

        async def beginning() -> None:
            await work(*arguments)

        return self._group.create_task(beginning()).cancel

    def at(self, time: float, event: Callable[[], None]) -> Callable[[], object]:
        """Let something happen at an emulated time; return what calls it off."""
        return self.task(self._at, time, event)

    async def _at(self, time: float, event: Callable[[], None]) -> None:
        await self.clock.until(time)
        self.event(event)

    def record(self, event: str, **details: str | int) -> None:
        """Tell the lab's record, if there is one, what only this node knows."""
        if self.client.recorded:
            self.client.note(self.clock.now(), self._session, event, {**details})

    def send(self, circuit: LiveCircuit, position: int, message: Signal | Tidings) -> None:
        """Tell another node of a circuit something about it."""
        self.post(circuit.circuit.path[position], self._session_of(circuit.circuit.name), message)

    def tell(self, circuit: LiveCircuit, position: int, send: Send) -> None:
        """Tell another node of a circuit something about its pairs."""
        self.post(circuit.circuit.path[position], self._session_of(circuit.circuit.name), send.tiding)

    def post(self, recipient: str, session: str, message: object) -> None:
        """Let a message go out with the others."""
        self._outbox.setdefault((recipient, session), []).append(message)

    def tell_end(self, node: str, closed: Closed) -> None:
        """Tell the other end of a request that it is over."""
        self.post(node, self._closing(closed.purpose), closed)

    def delay(self, node: str) -> float:
        """Return the seconds that a message to a node takes at least."""
        channel = self._locality.channels.get(node)
        return 0.0 if channel is None else channel.delay

    def when_reached(self, circuit: str, ended: Callable[[], None]) -> None:
        """Call when the tail of a circuit that this node's request has released knows it, or never will."""
        self._endings[circuit] = ended

    def new_circuit(self) -> str:
        """Return a name that no circuit of this run has."""
        return f"{self.name}-{next(self._numbers)}"

    async def ask_controller(self, request: RouteRequest) -> Routes | NoRoutes:
        """Ask for ways; emulated time stands still meanwhile. Raise ``NoAnswer``."""
        return await self._inquiries.ask(request)

    # circuits

    def begin(self, install: Install, end: End[LiveCircuit] | None) -> LiveCircuit | Release:
        """Take part in a circuit whose next node, if it has one, is a neighbour here; or say why not."""
        circuit = install.circuit
        here = circuit.path.index(self.name)
        wires: dict[Side, Wire] = {}
        sides: tuple[tuple[Side, int, int], ...] = (("left", here - 1, here - 1), ("right", here, here + 1))
        for side, link, peer in sides:
            if not 0 <= peer <= circuit.last:
                continue
            name = circuit.links[link]
            if self._locality.links.get(name) != circuit.path[peer]:
                no_link = f"'{self.name}' has no link '{name}' with '{circuit.path[peer]}' that stores pairs"
                return Release(Failure.UNSUPPORTED, no_link)
            wires[side] = Wire(self._services[name], circuit.path[peer], circuit.alpha(link))
        places = self._memories.admit(len(wires), circuit.least, circuit.window, circuit.batch)
        if not places:
            needed = len(wires) * circuit.least * circuit.batch
            full = (
                f"'{self.name}' has {self._memories.free} of {self._memories.count} memories free, and a circuit "
                f"takes {needed} there"
            )
            return Release(Failure.OUT_OF_MEMORY, full, avoid_node=self.name)
        register = Register(self.client, self.clock, f"{self.run}/{circuit.name}")
        # it was stored before this node knew of it, by a round trip of light at most
        keeps = min(self._locality.cutoff - 2 * self.delay(wire.peer) for wire in wires.values())
        if not here:
            install = replace(install, head_keeps=keeps)
        live = LiveCircuit(self, register, install, here, places, wires, end, keeps)
        self._circuits[circuit.name] = live
        live.begin()
        return live

    def lend(self, memories: int) -> bool:
        """Promise memories to a role that keeps what was delivered, if there are any."""
        lent = self._memories.lend(memories)
        self._lent += memories if lent else 0
        return lent

    def give_back(self, memories: int) -> None:
        """Take that promise back."""
        self._lent -= memories
        self._memories.release(memories)

    def release(self, memories: int) -> None:
        """Take back what was promised to a circuit and is free."""
        self._memories.release(memories)

    def forget(self, circuit: LiveCircuit) -> None:
        """Forget a circuit of which nothing is left here."""
        if self._circuits.pop(circuit.circuit.name, None) is not None:
            self.task(self._close, circuit.register.run)
            self._forgotten.set()

    async def _close(self, tag: str) -> None:
        await self.client.close_run(tag)

    # mail

    def arrived(self, envelope: Envelope) -> None:
        """Take a message; in real time it may be before its time."""
        if envelope.sender == CONTROLLER:
            self._inquiries.answered(envelope)
            return
        channel = self._locality.channels.get(envelope.sender)
        # no earlier than light could have brought it, whatever the sender says
        least = channel.least(envelope.sent_at) if channel else 0.0
        due = max(envelope.arrives_at, envelope.sent_at + least)
        early = self._early[envelope.sender]
        if early or due > self.clock.now():
            early.append((due, envelope))
            if len(early) == 1:
                self.event(partial(self._begin_awaiting, early))
        else:
            self.event(partial(self._take, envelope))

    def _begin_awaiting(self, early: deque[tuple[float, Envelope]]) -> None:
        self.task(self._await, early)

    async def _await(self, early: deque[tuple[float, Envelope]]) -> None:
        """Take the messages of one sender at their times, in their order."""
        while early:
            due, envelope = early[0]
            await self.clock.until(due)
            early.popleft()
            self.event(partial(self._take, envelope))

    def lost(self, sender: str, session: str) -> None:
        """Hear that a message is due and does not come: what it concerned cannot go on."""
        self.event(partial(self._lost, sender, session))

    def _lost(self, sender: str, session: str) -> None:
        name, lost = (
            session.removeprefix(f"{self._session}:"),
            f"a message from '{sender}' to '{self.name}' is lost",
        )
        circuit = self._circuits.get(name)
        if circuit is not None:
            circuit.fail(Failure.LOST, lost)
            if sender in circuit.circuit.path:
                circuit.heard_last_of(circuit.circuit.path.index(sender))
        elif not self.acceptances.lost(sender, lambda purpose: self._closing(purpose) == session):
            self.post(sender, session, Release(Failure.LOST, lost))  # it may have been to install a circuit
        self._ended(name)

    def gone(self, party: str) -> None:
        """Hear that a party has left."""
        self.event(partial(self._gone, party))

    def _gone(self, party: str) -> None:
        for name, circuit in list(self._circuits.items()):
            path = circuit.circuit.path
            if party not in path:
                continue
            if abs(path.index(party) - circuit.here) == 1:
                circuit.fail(Failure.NODE_GONE, f"node '{party}' has left", avoid_node=party)
            circuit.heard_last_of(path.index(party))
            if path[-1] == party:
                self._ended(name)
        self.acceptances.gone(party)

    def _ended(self, circuit: str) -> None:
        if (ended := self._endings.pop(circuit, None)) is not None:
            ended()

    def _take(self, envelope: Envelope) -> None:
        """Take a message at its time. One that cannot be is ignored, but for the circuit that it spoils."""
        sender, name = envelope.sender, envelope.session.removeprefix(f"{self._session}:")
        circuit = self._circuits.get(name)
        try:
            if envelope.kind == "Closed":
                self.acceptances.closed(sender, codec.build(Closed, envelope.body))
            elif envelope.kind == "Tidings":
                tidings = codec.build(Tidings, envelope.body)
                if circuit is not None:
                    circuit.tidings(circuit.circuit.path.index(sender), tidings)
            else:
                signal = codec.build(_SIGNALS[envelope.kind], envelope.body)
                if isinstance(signal, Install):
                    self._install(sender, name, signal)
                elif isinstance(signal, Released):
                    if circuit is not None:
                        circuit.heard_last_of(circuit.circuit.path.index(sender))
                    self._ended(name)
                elif circuit is not None:
                    circuit.signal(circuit.circuit.path.index(sender), signal)
        except (ProtocolViolation, KeyError, ValueError) as error:
            if circuit is not None:
                circuit.fail(Failure.LOST, f"node '{sender}' says what it cannot: {error}")

    def _install(self, sender: str, name: str, install: Install) -> None:
        circuit = install.circuit
        if circuit.name != name or name in self._circuits or self.name not in circuit.path[1:]:
            raise ProtocolViolation(f"a circuit {circuit.name} over {circuit.path} cannot be installed here")
        here = circuit.path.index(self.name)
        if circuit.path[here - 1] != sender:
            raise ProtocolViolation(
                f"circuit {name} comes from '{sender}', not from '{circuit.path[here - 1]}'"
            )
        end: End[LiveCircuit] | None = None
        if here == circuit.last:
            accepted = self.acceptances.expect(circuit.path[0], install)
            if isinstance(accepted, Release):
                self.post(sender, self._session_of(name), accepted)
                return
            end = accepted
        begun = self.begin(install, end)
        if isinstance(begun, Release):
            self.post(sender, self._session_of(name), begun)
        elif isinstance(end, Acceptance):
            end.attach(begun)

    def _session_of(self, circuit: str) -> str:
        return f"{self._session}:{circuit}"

    def _closing(self, purpose: str) -> str:
        """Return the session in which the end of a request is told."""
        return f"{self._session}:{purpose}"[:_LONGEST_SESSION]

    async def _flush(self) -> None:
        """Send what there is to say, tidings of one circuit that follow each other as one message."""
        while self._outbox:
            outbox, self._outbox = self._outbox, {}
            for (recipient, session), messages in outbox.items():
                for message in _together(messages):
                    await self._send(recipient, session, message)

    async def _send(self, recipient: str, session: str, message: object) -> None:
        channel, now = self._locality.channels.get(recipient), self.clock.now()
        arrives = now if channel is None else channel.arrival(now)
        kind, body = codec.kind_of(message), codec.fields_of(message)
        try:
            await self._office.send(recipient, session, PROTOCOL, kind, body, now, arrives)
        except PeerGone:
            self.gone(recipient)


def _together(messages: list[object]) -> list[object]:
    """Put tidings that follow each other into one message."""
    bundled: list[object] = []
    tidings: list[Tiding] = []
    for message in [*messages, None]:
        if isinstance(message, Tiding):
            tidings.append(message)
            continue
        if tidings:
            bundled.append(Tidings.of(tidings))
            tidings = []
        if message is not None:
            bundled.append(message)
    return bundled
