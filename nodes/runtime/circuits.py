"""One circuit at this node: the cores that know what to do, and the requests to Nature and messages that do it.

``signalling`` knows whether there is a circuit, a ``LinkService`` on each side how many pairs to ask for, the ``tracker``
what to do with them. Every event is handled at once and without waiting; what takes time is a task, whose end is an event.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from nodes.errors import ProtocolViolation
from nodes.link.service import Ask, Create, Failure, LinkService, Ok
from nodes.network.circuit import Side
from nodes.network.signalling import Install, Over, Release, Signal, Signalled, Signalling, Up
from nodes.network.signalling import Instruction as SignallingInstruction
from nodes.network.tidings import Deliver, Discard, Free, Instruction, Purify, Send, Swap, Tidings, WatchOver
from nodes.network.tracker import Tracker
from nodes.runtime.halves import HeldHalves
from nodes.runtime.qubits import Register
from nodes.runtime.units import Batch, Single, Unit, UnitGone
from shared_state.errors import (
    LinkDown,
    NoFreeMemory,
    PeerDeparted,
    PeerLeftRun,
    RunClosed,
    SharedStateError,
)


class End(Protocol):
    """What is at an end of a circuit: the request, or who accepts it."""

    def up(self) -> None:
        """Hear that the circuit is complete."""

    def deliver(self, circuit: LiveCircuit, unit: Unit | None, delivery: Deliver) -> None:
        """Take a unit that both ends share now; None where it has been measured."""

    def over(self, circuit: LiveCircuit, release: Release) -> None:
        """Hear that the circuit is over."""

    async def measure(self, unit: Unit, pair: str) -> None:
        """Measure a unit as soon as it is there, where outcomes are asked for."""


class Host(Protocol):
    """What a circuit needs of its node, as ``nodes.runtime.network`` has it."""

    def send(self, circuit: LiveCircuit, position: int, message: Signal | Tidings) -> None:
        """Tell another node of the circuit something, in the order in which this is called."""

    def tell(self, circuit: LiveCircuit, position: int, send: Send) -> None:
        """Tell another node of the circuit a tiding, together with others."""

    def task(
        self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object
    ) -> Callable[[], object]:
        """Do something that takes time; return what calls it off."""

    def event(self, event: Callable[[], None]) -> None:
        """Let something happen when what has happened before is done."""

    def at(self, time: float, event: Callable[[], None]) -> Callable[[], object]:
        """Let something happen at an emulated time; return what calls it off."""

    def lend(self, memories: int) -> bool:
        """Promise memories to a role that keeps what was delivered, if there are any."""

    def give_back(self, memories: int) -> None:
        """Take that promise back."""

    def forget(self, circuit: LiveCircuit) -> None:
        """Hear that nothing of the circuit is left here."""


@dataclass(frozen=True, slots=True)
class Wire:
    """The link on one side of a circuit's node: its name, and who is at its other end."""

    service: LinkService
    peer: str
    alpha: float | None


class LiveCircuit:
    """One circuit at this node, from the moment at which memories are set aside for it.

    ``places``: units that may be asked for or held on each side. ``end``: the request or its acceptance, at an end.
    """

    def __init__(
        self,
        host: Host,
        register: Register,
        install: Install,
        here: int,
        places: int,
        wires: dict[Side, Wire],
        end: End | None,
    ) -> None:
        self.circuit = install.circuit
        self.here = here
        self.places = places
        self.register = register
        self.signalling = Signalling(install, here)
        self.tracker = Tracker(install.circuit, here, install.number)
        self.promised = places * len(wires) * install.circuit.batch
        self._create = Create(
            purpose=self.circuit.name,
            kind=self.circuit.kind,
            batch=self.circuit.batch,
            deadline=install.deadline,
        )
        self._host = host
        self._wires = wires
        self._end = end
        self._units: dict[str, Unit] = {}
        self._leaving: set[str] = set()
        self._given: dict[str, Side | None] = {}
        """What a role has, or what is being discarded: on which side its place is free after that, None for a lent one."""
        self._calls_off: dict[str, Callable[[], object]] = {}
        self._tasks: dict[int, Callable[[], object]] = {}
        self._count = 0
        self.is_over = False

    @property
    def held(self) -> int:
        """Count the units that are still in this node's memories, a role's among them."""
        return len(self._units) + len(self._leaving) + len(self._given)

    # events

    def begin(self) -> None:
        """Take part."""
        self._signal(self.signalling.begin())

    def signal(self, sender: int, signal: Signal) -> None:
        """Hear something about the circuit itself."""
        self._signal(self.signalling.received(sender, signal))

    def tidings(self, sender: int, tidings: Tidings) -> None:
        """Hear something about its pairs."""
        if self.is_over:
            return
        try:
            for tiding in tidings.read():
                self._do(self.tracker.received(sender, tiding))
        except ProtocolViolation as violation:
            self.fail(Failure.LOST, str(violation), avoid_node=self.circuit.path[sender])

    def fail(self, failure: Failure, reason: str, *, avoid_node: str = "", avoid_link: str = "") -> None:
        """See that the circuit cannot go on."""
        self._signal(self.signalling.fail(failure, reason, avoid_node=avoid_node, avoid_link=avoid_link))

    def done(self, failure: Failure | None = None, reason: str = "") -> None:
        """Want no more, at the head."""
        self._signal(self.signalling.done(failure, reason))

    def stop(self) -> None:
        """Deliver no more."""
        self.tracker.limit = 0

    # signalling

    def _signal(self, instructions: Iterable[SignallingInstruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Signalled(position, signal):
                    self._host.send(self, position, signal)
                case Up():
                    for side, wire in self._wires.items():
                        self._ask(side, wire.service.create(self._create, self.places))
                    if self._end is not None:
                        self._end.up()
                case Over():
                    self._close(instruction)

    def _close(self, over: Over) -> None:
        """Give everything up but what a role has."""
        self.is_over = True
        for wire in self._wires.values():
            wire.service.close(self.circuit.name)
        for call_off in [*self._tasks.values(), *self._calls_off.values()]:
            call_off()
        for pair in list(self._units):
            self._discard(pair)
        if self._end is not None:
            self._end.over(self, over.release)
        self._host.event(self._leave)

    def _leave(self) -> None:
        if self.is_over and not self.held:
            self._host.forget(self)

    # links

    def _ask(self, side: Side, instructions: Iterable[object]) -> None:
        for instruction in instructions:
            match instruction:
                case Ask():
                    self._task(self._await_pair, side, self._wires[side])
                case Ok(_, pair, at):
                    self._do(self.tracker.heralded(side, pair, at))

    async def _await_pair(self, side: Side, wire: Wire) -> None:
        """Ask the link for a unit and wait until this end knows of it."""
        register, client, clock = self.register, self.register.client, self.register.clock
        link, batch = wire.service.link, self.circuit.batch
        try:
            with clock.waiting(f"a pair of link {link}", standing=True):
                if batch == 1:
                    delivery = await client.pair(clock.now(), register.run, link, alpha=wire.alpha)
                    unit: Unit = Single(register, delivery.qubit, delivery.time)
                    pair = delivery.pair
                else:
                    several = await client.pairs(clock.now(), register.run, link, batch, alpha=wire.alpha)
                    halves = HeldHalves(register, link)
                    halves.add(several)
                    unit, pair = Batch(halves), f"{link}/{several.first}"
            self._units[pair] = unit
            await clock.until(unit.heralded_at)
        except SharedStateError as error:
            self._host.event(partial(self._refused, wire, error))
            return
        self._host.event(partial(self._heralded, side, wire, pair, unit))

    def _heralded(self, side: Side, wire: Wire, pair: str, unit: Unit) -> None:
        if self.is_over:
            return
        if self._end is not None and self.circuit.kind == "measure":
            self._task(self._measure, self._end, unit, pair, side)
        self._ask(side, wire.service.heralded(self.circuit.name, pair, unit.heralded_at))

    async def _measure(self, end: End, unit: Unit, pair: str, side: Side) -> None:
        await end.measure(unit, pair)
        self._host.event(partial(self._measured_directly, pair, side))

    def _measured_directly(self, pair: str, side: Side) -> None:
        self._units.pop(pair, None)
        self._freed(side)

    def _refused(self, wire: Wire, error: SharedStateError) -> None:
        """The link makes no pair for the circuit, for a reason that this end is told."""
        match error:
            case PeerLeftRun() | RunClosed():
                return  # the circuit is over at one end, which says so itself
            case PeerDeparted():
                gone = f"node '{wire.peer}' has left"
                self.fail(Failure.NODE_GONE, gone, avoid_node=wire.peer)
            case LinkDown():
                down = f"link '{wire.service.link}' is down"
                self.fail(Failure.LINK_DOWN, down, avoid_link=wire.service.link)
            case NoFreeMemory():
                here = self.circuit.path[self.here]
                self.fail(Failure.OUT_OF_MEMORY, f"at '{here}': {error.message}", avoid_node=here)
            case _:
                self.fail(Failure.UNSUPPORTED, error.message)

    def _freed(self, side: Side) -> None:
        self._ask(side, self._wires[side].service.freed(self.circuit.name))
        self._leave()

    # pairs

    def _do(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Send(position):
                    self._host.tell(self, position, instruction)
                case Swap(left, right):
                    self._task(self._swap, left, right)
                case Purify():
                    self._task(self._purify, instruction)
                case Discard(pair):
                    self._discard(pair)
                case Free(pair, side):
                    self._free(pair, side)
                case WatchOver(pair):
                    self._watch_over(pair)
                case Deliver():
                    self._deliver(instruction)

    async def _swap(self, left: str, right: str) -> None:
        one, other = self._units[left], self._units[right]
        try:
            x, z = await one.swap(other)
        except UnitGone:
            self._ended(left, right)
            self._host.event(lambda: self._do(self.tracker.swap_failed(left, right)))
            return
        self._ended(left, right)
        self._host.event(lambda: self._do(self.tracker.swapped(left, right, x, z)))

    async def _purify(self, purify: Purify) -> None:
        kept, spent = self._units[purify.kept], self._units[purify.spent]
        assert isinstance(kept, Single)
        assert isinstance(spent, Single)
        names = purify.kept, purify.spent
        try:
            bit = await kept.purify(spent, purify.protocol, left=purify.left)
        except UnitGone:
            self._ended(*names)
            self._host.event(lambda: self._do(self.tracker.spoilt(*names)))
            return
        self._ended(purify.spent)
        self._host.event(lambda: self._do(self.tracker.measured(*names, bit)))

    def _ended(self, *pairs: str) -> None:
        for pair in pairs:
            self._units.pop(pair, None)

    def _discard(self, pair: str) -> None:
        unit = self._units.pop(pair, None)
        if unit is not None:
            self._leaving.add(pair)
            self._host.task(self._give_up, pair, unit)

    async def _give_up(self, pair: str, unit: Unit) -> None:
        await unit.discard()
        self._host.event(partial(self._given_up, pair))

    def _given_up(self, pair: str) -> None:
        self._leaving.discard(pair)
        if pair in self._given:
            side = self._given.pop(pair)
            if side is None:
                self._host.give_back(self.circuit.batch)
            else:
                self._freed(side)
        self._leave()

    def _free(self, pair: str, side: Side) -> None:
        if (call_off := self._calls_off.pop(pair, None)) is not None:
            call_off()
        if self.circuit.kind == "measure" and self._end is not None:
            return  # it was measured on arrival, and its place is free since then
        if pair in self._leaving:
            self._given[pair] = side
        else:
            self._freed(side)

    def _watch_over(self, pair: str) -> None:
        assert self.circuit.cutoff is not None
        overdue = self._units[pair].heralded_at + self.circuit.cutoff
        self._calls_off[pair] = self._host.at(overdue, lambda: self._do(self.tracker.overdue(pair)))

    def _deliver(self, delivery: Deliver) -> None:
        assert self._end is not None
        unit = None
        if self.circuit.kind == "keep":
            unit = self._units.pop(delivery.pair)
            side: Side = "left" if self.here else "right"
            lent = self._host.lend(self.circuit.batch)
            self._given[delivery.pair] = None if lent else side
            if lent:  # the place is free for another pair: a role may keep as many as the node can
                self._ask(side, self._wires[side].service.freed(self.circuit.name))
        self._end.deliver(self, unit, delivery)

    def freed_by_role(self, pair: str) -> None:
        """Hear that a role has used up what was delivered."""
        self._host.event(partial(self._given_up, pair))

    def _task(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        """Do something for the circuit that is called off with it."""
        self._count += 1
        number = self._count

        async def until_done() -> None:
            try:
                await work(*arguments)
            finally:
                self._tasks.pop(number, None)

        self._tasks[number] = self._host.task(until_done)
