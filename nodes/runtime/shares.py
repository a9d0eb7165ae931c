"""What one end of a request has of its pairs, from their delivery until a role takes them."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from math import inf
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, cast

import numpy as np

from nodes.errors import DeadlinePassed, ProgramInvalid
from nodes.link.service import Failure
from nodes.network.frames import flips
from nodes.network.signalling import Release
from nodes.network.tidings import Deliver
from nodes.ports import Basis, Bits, Coin, Halves, Qubit
from nodes.requests import RequestFailed, SharedHalf, SharedHalves, SharedOutcomes
from nodes.runtime.circuits import LiveCircuit
from nodes.runtime.clock import RunClock
from nodes.runtime.qubits import Register
from nodes.runtime.units import Unit, UnitGone, bits_of

Share: TypeAlias = SharedHalf | SharedHalves | SharedOutcomes


@dataclass(frozen=True, slots=True)
class Taker:
    """The role at an end: its register, its clock, the bases in which it has halves measured, and who is at the other
    end; ``deadline`` bounds its waits in wall seconds."""

    register: Register
    clock: RunClock
    coin: Coin
    peer: str
    kind: type[Share]
    bases: tuple[Basis, ...]
    deadline: float


class Nearby(Protocol):
    """What an end needs of its node's network layer."""

    clock: RunClock

    def event(self, event: Callable[[], None]) -> None:
        """Let something happen when what has happened before is done."""

    def task(
        self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object
    ) -> Callable[[], object]:
        """Do something that takes time."""


@dataclass(slots=True, eq=False)
class _Item:
    """A unit that was delivered and that no role has taken; ``at``: when it is ready to be, None until then."""

    circuit: LiveCircuit
    delivery: Deliver
    unit: Unit | None = None
    at: float | None = None
    basis: Basis = "Z"
    bits: Bits | None = None
    held: bool = False
    """Not to be taken before the other end has said that it has it."""


class Shares:
    """One end of a request. Iterate over it as ``nodes.requests.Pairs``; use it as an async context manager.

    A role takes units in the order in which they were delivered, which is the same at both ends. ``corrects``: this end
    undoes the Pauli frame.
    """

    corrects = False

    def __init__(self, network: Nearby) -> None:
        self.delivered = 0
        self.deadline = inf
        self._network = network
        self._taker: Taker | None = None
        self._claimed = asyncio.Event()
        self._items: deque[_Item] = deque()
        self._changed = asyncio.Event()
        self._found: dict[str, asyncio.Future[tuple[Basis, Bits] | None]] = {}
        self._ending: RequestFailed | None = None
        self._ended = False
        self._left = False
        self._holding = False
        self._unused = 0

    # the role's side

    def claim(self, taker: Taker | None) -> None:
        """Let a role have what comes, or nobody."""
        self._taker = taker
        self._claimed.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        self.leave()
        self._take_back(len(self._items))
        if error is None or isinstance(
            error, RequestFailed
        ):  # who fails otherwise, or is called off, does not wait
            await self.finished()

    def __aiter__(self) -> AsyncIterator[Share]:
        return self

    async def __anext__(self) -> Share:
        item = await self._take()
        if item is None:
            raise StopAsyncIteration
        return item

    async def next(self) -> Share:
        """Wait for the next one."""
        item = await self._take()
        if item is None:
            raise RequestFailed(Failure.CANCELLED, "all that were asked for have been taken", self.delivered)
        return item

    @abstractmethod
    def leave(self) -> None:
        """Want no more."""

    @abstractmethod
    async def finished(self) -> None:
        """Wait until the request has left no trace on the way."""

    async def _take(self) -> Share | None:
        taker = self._taker
        assert taker is not None
        unused = f", {self._unused} not used" if self._unused else ""
        try:
            with taker.clock.waiting(f"a pair with {taker.peer} ({self.delivered} delivered{unused})"):
                while not self._there():
                    self._changed.clear()
                    # a request with a deadline ends by itself
                    bound = taker.clock.deadline(taker.deadline) if self.deadline == inf else None
                    async with asyncio.timeout(bound):
                        await self._changed.wait()
        except TimeoutError:
            raise DeadlinePassed(taker.peer, taker.deadline, "its part of a pair") from None
        if self._items:
            return self._shared(self._items.popleft(), taker)
        if self._ending is not None:
            raise self._ending
        return None

    def _there(self) -> bool:
        """Tell whether the next unit is ready, or whether there is none and there will be none."""
        return self._items[0].at is not None if self._items else self._ended

    def _shared(self, item: _Item, taker: Taker) -> Share:
        name, born, path = item.delivery.name, item.delivery.born, item.circuit.circuit.path
        assert item.at is not None
        if item.bits is not None:
            share: Share = SharedOutcomes(name, item.basis, item.bits, born, item.at, path)
        else:
            assert item.unit is not None
            freed = partial(self._freed, item)
            self._unused += 1
            held = item.unit.hand_over(taker.register, freed)
            share = (
                SharedHalf(name, cast(Qubit, held), born, item.at, path)
                if item.circuit.circuit.batch == 1
                else SharedHalves(name, cast(Halves, held), born, item.at, path)
            )
        if not isinstance(share, taker.kind):
            raise ProgramInvalid(
                f"the other end asks for {type(share).__name__}, and this one takes {taker.kind.__name__}: "
                "request and accept the same"
            )
        return share

    def _freed(self, item: _Item) -> None:
        self._unused -= 1
        item.circuit.freed_by_role(item.delivery.pair)

    # the circuit's side

    def deliver(self, circuit: LiveCircuit, unit: Unit | None, delivery: Deliver) -> None:
        """Take a unit that both ends share now."""
        item = _Item(circuit, delivery, unit, held=self._holding)
        if self._ended or self._left:
            self._network.task(self._give_up, item)
            return
        self.delivered += 1
        self._items.append(item)
        if unit is None:
            self._network.task(self._find_outcomes, item)
            return
        if self.corrects and (delivery.x or delivery.z):
            unit.correct(delivery.x, delivery.z)
        self._network.task(self._await_correction, item)

    async def _await_correction(self, item: _Item) -> None:
        clock = self._network.clock
        await clock.until(clock.now())  # the correction takes its time
        self._ready(item)

    async def _find_outcomes(self, item: _Item) -> None:
        delivery = item.delivery
        with self._network.clock.waiting("an outcome", standing=True):
            found = await self._outcome(delivery.pair)
        del self._found[delivery.pair]
        if found is None:
            self._network.event(partial(self._spoil, item))
            return
        basis, bits = found
        if self.corrects:
            bits = bits ^ bits_of(flips(basis, delivery.x, delivery.z), len(bits))
        item.basis, item.bits = basis, bits
        self._ready(item)

    def _ready(self, item: _Item) -> None:
        """Let a role take a unit, unless that has to wait for the other end."""
        if not item.held:
            item.at = self._network.clock.now()
            self._changed.set()

    def hold(self) -> None:
        """Keep what is delivered from now on until the other end has said what it has."""
        self._holding = True

    def _let_go(self) -> None:
        """Let a role take what was held."""
        self._holding = False
        for item in self._items:
            if item.held:
                item.held = False
                if item.unit is not None or item.bits is not None:
                    self._ready(item)

    async def measure(self, unit: Unit, pair: str) -> None:
        """Measure a unit as soon as it is there, in a basis that the role's coin chooses."""
        await self._claimed.wait()
        taker = self._taker
        if taker is None:
            await unit.discard()
            self._outcome(pair).set_result(None)
            return
        basis = taker.bases[int(taker.coin.integers(len(taker.bases), 1)[0])]
        found = self._outcome(pair)
        try:
            bits = await unit.measure(basis)
        except UnitGone:
            found.set_result(None)
        else:
            found.set_result((basis, np.asarray(bits)))

    def _outcome(self, pair: str) -> asyncio.Future[tuple[Basis, Bits] | None]:
        if pair not in self._found:
            self._found[pair] = asyncio.get_running_loop().create_future()
        return self._found[pair]

    def up(self) -> None:
        """Hear that the circuit is complete."""

    @abstractmethod
    def over(self, circuit: LiveCircuit, release: Release) -> None:
        """Hear that the circuit is over."""

    def end(self, failed: RequestFailed | None) -> None:
        """Let nothing come any more."""
        if not self._ended:
            self._ended, self._ending = True, failed
            self._changed.set()

    @abstractmethod
    def lose(self, reason: str) -> None:
        """Want no more, since the ends cannot agree on what they share."""

    def _spoil(self, item: _Item) -> None:
        """A half was gone before it was measured, and the other end may know its own outcome."""
        reason = f"a half of pair {item.delivery.name} was gone before it was measured"
        if item in self._items:
            self._take_back(len(self._items) - self._items.index(item))
            self.lose(reason)
            self._ending = self._ending or RequestFailed(Failure.LOST, reason, self.delivered)
            self._changed.set()

    def _take_back(self, count: int) -> int:
        """Give up the last ``count`` units that were delivered; return how many of them a role has already."""
        taken = max(0, count - len(self._items))
        for _ in range(count - taken):
            item = self._items.pop()
            self.delivered -= 1
            self._network.task(self._give_up, item)
        return taken

    async def _give_up(self, item: _Item) -> None:
        if item.unit is not None:
            await item.unit.discard()
            item.circuit.freed_by_role(item.delivery.pair)
