"""Two parties in one process: peers over queues, a fake fibre for single photons, coins and clocks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import numpy as np
import pytest

from nodes.agreement import LinkAgreement
from nodes.errors import NodeError, ProtocolViolation
from nodes.ports import Bits, Clicks, Coin, Half, Halves, PairOutcomes, Peer, QuantumLink, Qubit
from nodes.runtime.coin import make_coin as make_coin_of_stream
from nodes.trains import Train, TrainClicks

MessageT = TypeVar("MessageT")
Tamper = Callable[[str, int, object], Sequence[object]]


def _faithfully(sender: str, number: int, message: object) -> Sequence[object]:
    return [message]


@dataclass
class QueuePeer:
    """A ``Peer`` over a pair of queues; ``tamper`` says what becomes of the n-th message of ``sender``."""

    name: str
    sender: str
    outbox: asyncio.Queue[object]
    inbox: asyncio.Queue[object]
    tamper: Tamper
    sent: list[object] = field(default_factory=list)

    async def send(self, message: object) -> None:
        number = len(self.sent)
        self.sent.append(message)
        for delivered in self.tamper(self.sender, number, message):
            self.outbox.put_nowait(delivered)

    async def receive(self, kind: type[MessageT]) -> MessageT:
        message = await self.inbox.get()
        if not isinstance(message, kind):
            raise ProtocolViolation(f"{self.name} sent {type(message).__name__}, not {kind.__name__}")
        return message


@dataclass
class Fibre:
    """A fibre for single photons: loss, wrong outcomes, and Eve, who intercepts and resends a fraction."""

    rng: np.random.Generator
    transmission: float = 1.0
    misalignment: float = 0.0
    eve: float = 0.0
    trains: asyncio.Queue[tuple[Bits, Bits]] = field(default_factory=asyncio.Queue)

    def outcomes(self, bits: Bits, prepared: Bits, measured: Bits) -> Bits:
        """Measure photons: the bit where the bases agree, a coin's toss elsewhere."""
        tossed = self.rng.integers(0, 2, bits.size, dtype=np.uint8)
        return np.where(prepared == measured, bits, tossed)

    def detect(self, bits: Bits, prepared: Bits, measured: Bits) -> Clicks:
        tapped = self.rng.random(bits.size) < self.eve
        eves_bases = self.rng.integers(0, 2, bits.size, dtype=np.uint8)
        resent = np.where(tapped, self.outcomes(bits, prepared, eves_bases), bits)
        outcome = self.outcomes(resent, np.where(tapped, eves_bases, prepared), measured)
        outcome ^= (self.rng.random(bits.size) < self.misalignment).astype(np.uint8)
        clicked = (self.rng.random(bits.size) < self.transmission).astype(np.uint8)
        return Clicks(clicked, outcome * clicked)


@dataclass
class PhotonLink:
    """One end of a ``Fibre``; it carries pulses only."""

    peer: str
    fibre: Fibre
    agreement: LinkAgreement = field(default_factory=lambda: LinkAgreement(reconciliation="cascade"))

    async def send_pulses(self, bits: Bits, bases: Bits, intensities: Bits | None = None) -> None:
        assert intensities is None  # a source of single photons
        self.fibre.trains.put_nowait((bits, bases))

    async def measure_pulses(self, bases: Bits) -> Clicks:
        bits, prepared = await self.fibre.trains.get()
        return self.fibre.detect(bits, prepared, bases)

    async def emit_train(self, count: int, *, ahead: bool = False) -> Train:
        self._only_stated()

    async def measure_train(self, count: int) -> TrainClicks:
        self._only_stated()

    async def pair(self) -> Half:
        self._only_pulses()

    async def pairs(self, count: int) -> Halves:
        self._only_pulses()

    async def measure_directly(
        self, count: int, bases: Bits | None = None, angles: Sequence[float] = ()
    ) -> PairOutcomes:
        self._only_pulses()

    async def send(self, qubit: Qubit) -> None:
        self._only_pulses()

    async def receive(self) -> Qubit | None:
        self._only_pulses()

    def _only_stated(self) -> NoReturn:
        raise AssertionError("this fibre carries pulses of stated settings only")

    def _only_pulses(self) -> NoReturn:
        raise AssertionError("this fibre carries pulses only")


@dataclass
class StillClock:
    """A ``Clock`` that moves only by ``sleep``."""

    time: float = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, duration: float) -> None:
        self.time += duration


@pytest.fixture
def connect() -> Callable[..., tuple[Peer, Peer]]:
    """Return a maker of two connected peers: what Alice calls Bob, and what Bob calls Alice."""

    def connected(tamper: Tamper = _faithfully) -> tuple[Peer, Peer]:
        to_bob: asyncio.Queue[object] = asyncio.Queue()
        to_alice: asyncio.Queue[object] = asyncio.Queue()
        bob = QueuePeer("bob", "alice", to_bob, to_alice, tamper)
        alice = QueuePeer("alice", "bob", to_alice, to_bob, tamper)
        return bob, alice

    return connected


@pytest.fixture
def lay_fibre() -> Callable[..., tuple[QuantumLink, QuantumLink]]:
    """Return a maker of the two ends of a fibre: seed, then transmission, misalignment and eve by keyword."""

    def laid(
        seed: int, transmission: float = 1.0, misalignment: float = 0.0, eve: float = 0.0
    ) -> tuple[QuantumLink, QuantumLink]:
        fibre = Fibre(np.random.default_rng([seed, 0]), transmission, misalignment, eve)
        return PhotonLink("bob", fibre), PhotonLink("alice", fibre)

    return laid


@pytest.fixture
def make_coin() -> Callable[..., Coin]:
    """Return a maker of coins with a seed."""

    def made(*seed: int) -> Coin:
        return make_coin_of_stream(0, *map(str, seed))

    return made


@pytest.fixture
def clock() -> StillClock:
    """Return a clock that stands still."""
    return StillClock()


@pytest.fixture
def both() -> Callable[..., Awaitable[tuple[Any, Any]]]:
    """Return what runs two roles side by side: the results, or for a role that failed its ``NodeError``.

    A dialogue that stalls raises ``TimeoutError`` after ``seconds``.
    """

    async def outcome(role: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await role
        except NodeError as error:
            return error

    async def run(
        alice: Coroutine[Any, Any, Any], bob: Coroutine[Any, Any, Any], seconds: float = 20.0
    ) -> tuple[Any, Any]:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            first, second = group.create_task(outcome(alice)), group.create_task(outcome(bob))
        return first.result(), second.result()

    return run
