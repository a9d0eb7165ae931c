"""One circuit at this node: the cores that know what to do, and the requests to Nature and messages that do it.

``signalling`` knows whether there is a circuit, a ``LinkService`` on each side how many pairs to ask for, the
``tracker`` what to do with them. Every event is handled at once and without waiting; what takes time is a task,
whose end is an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from math import inf
from typing import Any

from nodes.errors import ProtocolViolation
from nodes.link.service import Ask, Create, Failure, Ok
from nodes.network.circuit import Side
from nodes.network.signalling import (
    Install,
    Over,
    Release,
    Signal,
    Signalled,
    Signalling,
    Up,
    last_to_know,
)
from nodes.network.signalling import Instruction as SignallingInstruction
from nodes.network.tidings import (
    Deliver,
    Discard,
    Free,
    Instruction,
    Purify,
    Send,
    Swap,
    Tidings,
    Track,
    WatchOver,
)
from nodes.network.tracker import Tracker
from nodes.runtime.circuit_ports import End, Host
from nodes.runtime.link_units import Wire, next_unit, refusal_of
from nodes.runtime.qubits import Register
from nodes.runtime.units import Single, Unit, UnitGone
from shared_state.errors import SharedStateError

_ROUNDING = 1e-9
_LAST_NEWS = 1.0
"""For so many wall seconds, in real time, an end waits for the last that the other one has to say of their pairs."""


class LiveCircuit:
    """One circuit at this node, from the moment at which memories are set aside for it.

    ``keeps``: for so many seconds after a herald an end's memory keeps a half.
    ``places``: units that may be asked for or held on each side. ``end``: the request or its acceptance, at an end.
    ``promised``: memories set aside for it. When it ``is_over`` that is what it still holds; an end that is the last to
    know of pairs keeps them then until it ``is_settled``, when it has heard the last of the other one.
    """

    def __init__(
        self,
        host: Host[LiveCircuit],
        register: Register,
        install: Install,
        here: int,
        places: int,
        wires: dict[Side, Wire],
        end: End[LiveCircuit] | None,
        keeps: float,
    ) -> None:
        self._keeps = keeps
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
        """What a role has, or what is being discarded: on which side its place is free after that, None for a lent
        one.
        """
        self._calls_off: dict[str, Callable[[], object]] = {}
        self._latest: dict[Side, asyncio.Event] = {}
        # the tail of a single link, where both ends deliver when they hear from the link
        self._lingers = install.circuit.last == here == 1 and last_to_know(install.circuit) == 0
        self._tasks: dict[int, Callable[[], object]] = {}
        self._measuring: dict[str, Callable[[], object]] = {}
        self._finishing: set[str] = set()
        """What is being measured directly, and what of that has been delivered meanwhile."""
        self._count = 0
        self._far = self.circuit.last if here == 0 else 0
        self._far_is_over = False
        self._is_up = False
        self._release = Release()
        self.is_over = False
        self.is_settled = False

    # events

    def begin(self) -> None:
        """Take part."""
        self._signal(self.signalling.begin())

    def signal(self, sender: int, signal: Signal) -> None:
        """Hear something about the circuit itself."""
        self._signal(self.signalling.received(sender, signal))

    def heard_last_of(self, position: int) -> None:
        """Hear that a node of the circuit says no more of its pairs."""
        if position == self._far:
            self._far_is_over = True
            if self.is_over:
                self.settle()

    def tidings(self, sender: int, tidings: Tidings) -> None:
        """Hear something about its pairs; when it is over, from the other end only."""
        if self.is_settled or (self.is_over and sender != self._far):
            return
        try:
            for tiding in tidings.read():
                if isinstance(tiding, Track) and self._is_too_old_for_head(tiding):
                    self._give_up_waiting(tiding.pair)
                else:
                    self._do(self.tracker.received(sender, tiding))
        except ProtocolViolation as violation:
            self.fail(Failure.LOST, str(violation), avoid_node=self.circuit.path[sender])

    def fail(self, failure: Failure, reason: str, *, avoid_node: str = "", avoid_link: str = "") -> None:
        """See that the circuit cannot go on."""
        self._signal(self.signalling.fail(failure, reason, avoid_node=avoid_node, avoid_link=avoid_link))

    def done(self, failure: Failure | None = None, reason: str = "") -> None:
        """Want no more, at the head."""
        self._far_is_over = True
        self._signal(self.signalling.done(failure, reason))
        self.settle()

    def stop(self) -> None:
        """Let the tail deliver no more, but what the head has delivered already."""
        if self._lingers and self._end is not None:
            self._end.hold()
        elif not last_to_know(self.circuit):
            self.tracker.limit = 0

    def settle(self) -> None:
        """Wait for no more news of its pairs: give everything up but what a role has."""
        if self.is_settled or not self.is_over:
            return
        self.is_settled = True
        for pair in list(self._units):
            self._discard(pair)
        for call_off in [*self._measuring.values(), *self._calls_off.values()]:
            call_off()
        if self._end is not None:
            self._end.over(self, self._release)
        self._host.event(self._leave)

    # signalling

    def _signal(self, instructions: Iterable[SignallingInstruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Signalled(position, signal):
                    self._host.send(self, position, signal)
                case Up():
                    path = " - ".join(self.circuit.path)
                    self._host.record("circuit.installed", circuit=self.circuit.name, path=path)
                    self._is_up = True
                    for side, wire in self._wires.items():
                        self._ask(side, wire.service.create(self._create, self.places))
                    if self._end is not None:
                        self._end.up()
                case Over():
                    self._close(instruction)

    def _close(self, over: Over) -> None:
        """Ask for nothing more and do nothing more with the pairs."""
        self.is_over, self._release = True, over.release
        self._host.record("circuit.released", circuit=self.circuit.name, failure=str(over.release.failure))
        for wire in self._wires.values():
            wire.service.close(self.circuit.name)
        if self._lingers and self._is_up and not self.is_settled:
            self._host.task(self._linger)
            return
        for call_off in list(self._tasks.values()):
            call_off()
        knows_all = self.here != last_to_know(self.circuit) or not self._is_up or self._far_is_over
        if self._end is None or knows_all:
            self.settle()
        else:
            self._host.task(self._settle_anyway)

    def linger_no_longer(self) -> None:
        """Hear that nothing more will be heralded: give back what was set aside for that, in real time.

        In virtual time the wait costs nobody anything, and ends at a time that no message decides.
        """
        if self._lingers and self.is_over and self.register.clock.deadline(_LAST_NEWS) is not None:
            self._end_lingering()

    async def _linger(self) -> None:
        """Wait for pairs of which the head has heard first: a link may herald later at one end than at the other."""
        clock = self.register.clock
        with clock.waiting("the last heralds", standing=True):
            await clock.until(clock.now() + 2 * self._host.delay(self.circuit.path[0]) + _ROUNDING)
        if (patience := clock.deadline(_LAST_NEWS)) is not None:
            await asyncio.sleep(patience)
        self._host.event(self._end_lingering)

    def _end_lingering(self) -> None:
        for call_off in list(self._tasks.values()):
            call_off()
        self.settle()

    async def _settle_anyway(self) -> None:
        """In real time a message may be lost that nobody misses."""
        patience = self.register.clock.deadline(_LAST_NEWS)
        if patience is not None:
            await asyncio.sleep(patience)
            self._host.event(self.settle)

    def _leave(self) -> None:
        """When it is over, give back the memories that it has no use for."""
        if not self.is_settled:
            return
        held = {*self._units, *self._leaving, *self._finishing} | {
            pair for pair, side in self._given.items() if side is not None
        }
        needed = len(held) * self.circuit.batch
        if needed < self.promised:
            self._host.release(self.promised - needed)
            self.promised = needed
        if not held and not self._given:
            self._host.forget(self)

    # links

    def _ask(self, side: Side, instructions: Iterable[object]) -> None:
        for instruction in instructions:
            match instruction:
                case Ask():
                    before, self._latest[side] = self._latest.get(side), asyncio.Event()
                    self._task(self._await_pair, side, self._wires[side], before, self._latest[side])
                case Ok(_, pair, at):
                    self._do(self.tracker.heralded(side, pair, at))

    async def _await_pair(
        self, side: Side, wire: Wire, before: asyncio.Event | None, known: asyncio.Event
    ) -> None:
        """Ask the link for a unit and wait until this end knows of it, and of those that were asked for ``before``.

        Both ends use a link's pairs in the order in which it makes them, however late a timer goes off.
        """
        try:
            await self._ask_link(side, wire, before)
        finally:
            known.set()

    async def _ask_link(self, side: Side, wire: Wire, before: asyncio.Event | None) -> None:
        clock = self.register.clock
        try:
            with clock.waiting(f"a pair of link {wire.service.link}", standing=True):
                pair, unit = await next_unit(self.register, wire, self.circuit.batch)
            self._units[pair] = unit
            await clock.until(unit.heralded_at)
            if before is not None:
                await before.wait()
        except SharedStateError as error:
            self._host.event(partial(self._refused, wire, error))
            return
        self._host.event(partial(self._heralded, side, wire, pair, unit))

    def _heralded(self, side: Side, wire: Wire, pair: str, unit: Unit) -> None:
        if self.is_over and not self._lingers:
            return
        if self._end is not None and self.circuit.kind == "measure":
            self._measuring[pair] = self._host.task(self._measure, self._end, unit, pair, side)
        if self._end is not None and self._keeps < inf and self.circuit.kind == "keep":
            too_old = partial(self._give_up_waiting, pair)
            self._calls_off[pair] = self._host.at(unit.heralded_at + max(0.0, self._keeps), too_old)
        if self.is_over:
            self._do(self.tracker.heralded(side, pair, unit.heralded_at))
        else:
            self._ask(side, wire.service.heralded(self.circuit.name, pair, unit.heralded_at))

    async def _measure(self, end: End[LiveCircuit], unit: Unit, pair: str, side: Side) -> None:
        await end.measure(unit, pair)
        self._host.event(partial(self._measured_directly, pair, side))

    def _measured_directly(self, pair: str, side: Side) -> None:
        self._units.pop(pair, None)
        self._measuring.pop(pair, None)
        self._finishing.discard(pair)
        self._freed(side)

    def _refused(self, wire: Wire, error: SharedStateError) -> None:
        """The link makes no pair for the circuit, for a reason that this end is told."""
        refusal = refusal_of(error, self.circuit.path[self.here], wire)
        if refusal is not None:
            self.fail(
                refusal.failure, refusal.reason, avoid_node=refusal.avoid_node, avoid_link=refusal.avoid_link
            )

    def _freed(self, side: Side) -> None:
        self._ask(side, self._wires[side].service.freed(self.circuit.name))
        self._leave()

    # pairs

    def _do(self, instructions: Iterable[Instruction]) -> None:
        """Do what the tracker wants done; when the circuit is over, nothing but to deliver and to give up."""
        if self.is_settled:
            return
        for instruction in instructions:
            if self.is_over and isinstance(instruction, Send | Swap | Purify | WatchOver):
                continue
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
            bit = await kept.purify(spent, purify.protocol, purify.turns, left=purify.left)
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

    def _is_too_old_for_head(self, track: Track) -> bool:
        """Tell, at the tail, whether the head's memory has lost its half when the head hears of the pair."""
        if self.here < self.circuit.last or self.circuit.kind == "measure":
            return False
        heard = self.register.clock.now() + self._host.delay(self.circuit.path[0])
        return heard > track.born + self.signalling.install.head_keeps

    def _give_up_waiting(self, pair: str) -> None:
        """Give a half up that this node's memory will not keep until it is of use."""
        if self.tracker.waits(pair):
            self._discard(pair)
            self._do(self.tracker.lost(pair))

    def _watch_over(self, pair: str) -> None:
        assert self.circuit.cutoff is not None
        overdue = self._units[pair].heralded_at + self.circuit.cutoff
        self._calls_off[pair] = self._host.at(overdue, lambda: self._do(self.tracker.overdue(pair)))

    def _deliver(self, delivery: Deliver) -> None:
        assert self._end is not None
        if (call_off := self._calls_off.pop(delivery.pair, None)) is not None:
            call_off()
        unit = self._units.pop(delivery.pair, None)
        if self._measuring.pop(delivery.pair, None) is not None:
            self._finishing.add(delivery.pair)  # whatever becomes of the circuit
        if self.circuit.kind == "keep":
            side: Side = "left" if self.here else "right"
            lent = self._host.lend(self.circuit.batch)
            self._given[delivery.pair] = None if lent else side
            if lent:  # the place is free for another pair: a role may keep as many as the node can
                self._ask(side, self._wires[side].service.freed(self.circuit.name))
        self._host.record("pair.delivered", pair=delivery.name, circuit=self.circuit.name)
        self._end.deliver(self, unit if self.circuit.kind == "keep" else None, delivery)

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
