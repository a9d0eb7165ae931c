"""What one end of a request has of its pairs, from their delivery until a role takes them."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
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


@dataclass(frozen=True, slots=True)
class _Item:
    """A unit that was delivered at a time and that no role has taken."""

    circuit: LiveCircuit
    delivery: Deliver
    at: float
    unit: Unit | None = None
    basis: Basis = "Z"
    bits: Bits | None = None


class Shares:
    """One end of a request. Iterate over it as ``nodes.requests.Pairs``; use it as an async context manager.

    ``corrects``: this end undoes the Pauli frame.
    """

    corrects = False

    def __init__(self, network: Nearby) -> None:
        self.delivered = 0
        self.deadline = inf
        self._network = network
        self._taker: Taker | None = None
        self._claimed = asyncio.Event()
        self._items: asyncio.Queue[_Item | RequestFailed | None] = asyncio.Queue()
        self._found: dict[str, asyncio.Future[tuple[Basis, Bits] | None]] = {}
        self._ending: RequestFailed | None = None
        self._ended = False
        self._left = False
        self._coming = 0
        self._unused = 0

    # the role's side

    def claim(self, taker: Taker) -> None:
        """Let a role have what comes."""
        self._taker = taker
        self._claimed.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        self.leave()
        while not self._items.empty():
            item = self._items.get_nowait()
            if isinstance(item, _Item):
                self._network.task(self._give_up, item)
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
        if self._ended and not self._coming and self._items.empty():
            if self._ending is not None:
                raise self._ending
            return None
        bound = taker.clock.deadline(taker.deadline) if self.deadline == inf else None
        unused = f", {self._unused} not used" if self._unused else ""
        try:
            with taker.clock.waiting(f"a pair with {taker.peer} ({self.delivered} delivered{unused})"):
                async with asyncio.timeout(bound):
                    item = await self._items.get()
        except TimeoutError:
            raise DeadlinePassed(taker.peer, taker.deadline, "its part of a pair") from None
        if isinstance(item, RequestFailed):
            raise item
        return None if item is None else self._shared(item, taker)

    def _shared(self, item: _Item, taker: Taker) -> Share:
        name, born, path = item.delivery.name, item.delivery.born, item.circuit.circuit.path
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
        self.delivered += 1
        self._coming += 1
        if unit is None:
            self._network.task(self._deliver_outcomes, circuit, delivery)
            return
        if self.corrects and (delivery.x or delivery.z):
            unit.correct(delivery.x, delivery.z)
        self._network.task(self._deliver_unit, circuit, unit, delivery)

    async def _deliver_unit(self, circuit: LiveCircuit, unit: Unit, delivery: Deliver) -> None:
        clock = self._network.clock
        await clock.until(clock.now())  # the correction takes its time
        self._put(_Item(circuit, delivery, clock.now(), unit))

    async def _deliver_outcomes(self, circuit: LiveCircuit, delivery: Deliver) -> None:
        found = await self._outcome(delivery.pair)
        del self._found[delivery.pair]
        if found is None:
            self._network.event(lambda: circuit.fail(Failure.LOST, "a half was gone before it was measured"))
            self._came()
            return
        basis, bits = found
        if self.corrects:
            bits = bits ^ bits_of(flips(basis, delivery.x, delivery.z), len(bits))
        self._put(_Item(circuit, delivery, self._network.clock.now(), basis=basis, bits=bits))

    async def measure(self, unit: Unit, pair: str) -> None:
        """Measure a unit as soon as it is there, in a basis that the role's coin chooses."""
        await self._claimed.wait()
        taker = self._taker
        assert taker is not None
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
            self._tell_end()

    def _tell_end(self) -> None:
        if self._ended and not self._coming:
            self._items.put_nowait(self._ending)

    def _put(self, item: _Item) -> None:
        if self._left:
            self._network.task(self._give_up, item)
        else:
            self._items.put_nowait(item)
        self._came()

    def _came(self) -> None:
        self._coming -= 1
        self._tell_end()

    async def _give_up(self, item: _Item) -> None:
        if item.unit is not None:
            await item.unit.discard()
            item.circuit.freed_by_role(item.delivery.pair)
