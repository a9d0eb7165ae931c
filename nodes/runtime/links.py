"""The quantum channel to one neighbour, as requests to the shared-state server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from nodes.agreement import LinkAgreement
from nodes.errors import DeadlinePassed, ProgramInvalid
from nodes.ports import Bits, Clicks, Half, PairOutcomes, Qubit
from nodes.runtime.halves import HeldHalves
from nodes.runtime.qubits import AnswerT, Register, answered
from nodes.runtime.trains import SentTrain
from nodes.trains import TrainClicks
from shared_state.arguments import MAX_PAIRS

_SINGLE_PHOTONS = LinkAgreement()


@dataclass(frozen=True, slots=True)
class FibreLink:
    """A ``nodes.ports.QuantumLink``: this node's end of what connects it with ``peer`` in one run.

    ``link`` carries photons, ``source`` makes pairs: one and the same link, but where two nodes have several.
    ``source`` is empty where none makes pairs. Both ends meet under the same ``tag``; ``deadline`` bounds every
    wait for the peer, until the outcome's own time has come, in wall seconds. ``agreement``: how keys are made here.
    """

    register: Register
    tag: str
    link: str
    source: str
    peer: str
    deadline: float
    agreement: LinkAgreement = _SINGLE_PHOTONS

    async def pair(self) -> Half:
        """Wait for the next heralded pair."""
        clock, client = self.register.clock, self.register.client
        async with self._in_time(awaited := "its half of a pair"):
            request = client.pair(asked_at := clock.now(), self.tag, self.source or self.link)
            delivery = await self._answered(request, awaited)
            half = Half(delivery.pair, self.register.adopt(delivery.qubit), delivery.time)
            await self._until(delivery.time, asked_at)
        return half

    async def pairs(self, count: int) -> HeldHalves:
        """Wait for the next ``count`` heralded pairs; what exceeds a request's limit is asked for in parts."""
        clock, client, source = self.register.clock, self.register.client, self.source or self.link
        halves = HeldHalves(self.register, source)
        for start in range(0, max(count, 1), MAX_PAIRS):
            async with self._in_time(awaited := "its halves of pairs"):
                some = min(count - start, MAX_PAIRS)
                part = client.pairs(asked_at := clock.now(), self.tag, source, some)
                halves.add(await self._answered(part, awaited))
                await self._until(float(halves.heralded_at.max()), asked_at)
        return halves

    async def measure_directly(
        self, count: int, bases: Bits | None = None, angles: Sequence[float] = ()
    ) -> PairOutcomes:
        """Wait for the outcomes of the next ``count`` pairs, measured on arrival; asked for in parts like ``pairs``."""
        if bases is not None and len(bases) != count:
            raise ProgramInvalid(f"{count} pairs take as many bases, and {len(bases)} were given")
        clock, client, source = self.register.clock, self.register.client, self.source or self.link
        parts = []
        for start in range(0, max(count, 1), MAX_PAIRS):
            own = None if bases is None else bases[start : start + MAX_PAIRS]
            async with self._in_time(awaited := "its measuring of pairs"):
                some = min(count - start, MAX_PAIRS)
                asked_at = clock.now()
                part = client.measure_directly(asked_at, self.tag, source, some, own, angles=angles)
                parts.append(await self._answered(part, awaited))
                await self._until(float(parts[-1].times.max()), asked_at)
        measured, bits, times = zip(*parts, strict=True)
        return PairOutcomes(np.concatenate(measured), np.concatenate(bits), np.concatenate(times))

    async def send(self, qubit: Qubit) -> None:
        """Put the qubit on the fibre."""
        clock, client = self.register.clock, self.register.client
        await client.transmit(clock.now(), self.tag, self.link, self.register.release(qubit))

    async def receive(self) -> Qubit | None:
        """Wait for the qubit that the peer puts on the fibre; None when it was lost on the way."""
        clock, client = self.register.clock, self.register.client
        async with self._in_time(awaited := "a qubit"):
            request = client.receive(asked_at := clock.now(), self.tag, self.link)
            arrival = await self._answered(request, awaited)
            qubit = None if arrival.qubit is None else self.register.adopt(arrival.qubit)
            await self._until(arrival.time, asked_at)
        return qubit

    async def send_pulses(self, bits: Bits, bases: Bits, intensities: Bits | None = None) -> None:
        """Emit one pulse per element."""
        clock, client = self.register.clock, self.register.client
        request = client.emit_pulses(asked_at := clock.now(), self.tag, self.link, bits, bases, intensities)
        await self._until(await request, asked_at)

    async def measure_pulses(self, bases: Bits) -> Clicks:
        """Measure the peer's next train of pulses."""
        clock, client = self.register.clock, self.register.client
        async with self._in_time(awaited := "pulses"):
            request = client.measure_pulses(asked_at := clock.now(), self.tag, self.link, bases)
            detection = await self._answered(request, awaited)
            await self._until(detection.time, asked_at)
        return Clicks(detection.clicked, detection.bits)

    async def emit_train(self, count: int, *, ahead: bool = False) -> SentTrain:
        """Emit pulses whose settings the transmitter draws."""
        clock, client = self.register.clock, self.register.client
        sent = await client.emit_train(asked_at := clock.now(), self.tag, self.link, count)
        if not ahead:
            await self._until(sent.time, asked_at)
        return SentTrain(client, self.tag, sent)

    async def measure_train(self, count: int) -> TrainClicks:
        """Measure the peer's next train of drawn pulses in drawn bases."""
        clock, client = self.register.clock, self.register.client
        async with self._in_time(awaited := "a train"):
            request = client.measure_train(asked_at := clock.now(), self.tag, self.link, count)
            seen = await self._answered(request, awaited)
            await self._until(seen.time, asked_at)
        return TrainClicks(seen.indices, seen.bases, seen.bits)

    async def _answered(self, request: Coroutine[Any, Any, AnswerT], awaited: str) -> AnswerT:
        with self.register.clock.waiting(f"{awaited} from {self.peer}"):
            return await answered(request, awaited)

    async def _until(self, time: float, asked_at: float) -> None:
        """Wait for the time at which an outcome is there; one that was asked for before and comes after it is late."""
        if time >= asked_at:
            self.register.clock.overdue(time)
        await self.register.clock.until(time)

    @asynccontextmanager
    async def _in_time(self, awaited: str) -> AsyncIterator[None]:
        """Bound the wait for the peer's part and for the time at which its outcome is there."""
        try:
            async with asyncio.timeout(self.register.clock.deadline(self.deadline)):
                yield
        except TimeoutError:
            raise DeadlinePassed(self.peer, self.deadline, awaited) from None
