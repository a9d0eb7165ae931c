"""The quantum channel to one neighbour, as requests to the shared-state server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from nodes.errors import DeadlinePassed
from nodes.ports import Bits, Clicks, Half, Qubit
from nodes.runtime.halves import HeldHalves
from nodes.runtime.qubits import AnswerT, Register, answered
from nodes.runtime.trains import SentTrain
from nodes.trains import TrainClicks
from shared_state.arguments import MAX_PAIRS


@dataclass(frozen=True, slots=True)
class FibreLink:
    """A ``nodes.ports.QuantumLink``: this node's end of what connects it with ``peer`` in one run.

    ``link`` carries photons, ``source`` makes pairs: one and the same link, but where two nodes have several.
    ``source`` is empty where none makes pairs. Both ends meet under the same ``tag``; ``deadline`` bounds every
    wait for the peer, in wall seconds.
    """

    register: Register
    tag: str
    link: str
    source: str
    peer: str
    deadline: float

    async def pair(self) -> Half:
        """Wait for the next heralded pair."""
        clock, client = self.register.clock, self.register.client
        delivery = await self._within(
            client.pair(clock.now(), self.tag, self.source or self.link), "its half of a pair"
        )
        half = Half(delivery.pair, self.register.adopt(delivery.qubit), delivery.time)
        await clock.until(delivery.time)
        return half

    async def pairs(self, count: int) -> HeldHalves:
        """Wait for the next ``count`` heralded pairs; what exceeds a request's limit is asked for in parts."""
        clock, client, source = self.register.clock, self.register.client, self.source or self.link
        halves = HeldHalves(self.register, source)
        for start in range(0, max(count, 1), MAX_PAIRS):
            part = client.pairs(clock.now(), self.tag, source, min(count - start, MAX_PAIRS))
            halves.add(await self._within(part, "its halves of pairs"))
        await clock.until(float(halves.heralded_at.max()))
        return halves

    async def send(self, qubit: Qubit) -> None:
        """Put the qubit on the fibre."""
        clock, client = self.register.clock, self.register.client
        await client.transmit(clock.now(), self.tag, self.link, self.register.release(qubit))

    async def receive(self) -> Qubit | None:
        """Wait for the qubit that the peer puts on the fibre; None when it was lost on the way."""
        clock, client = self.register.clock, self.register.client
        arrival = await self._within(client.receive(clock.now(), self.tag, self.link), "a qubit")
        qubit = None if arrival.qubit is None else self.register.adopt(arrival.qubit)
        await clock.until(arrival.time)
        return qubit

    async def send_pulses(self, bits: Bits, bases: Bits, intensities: Bits | None = None) -> None:
        """Emit one pulse per element."""
        clock, client = self.register.clock, self.register.client
        await clock.until(
            await client.emit_pulses(clock.now(), self.tag, self.link, bits, bases, intensities)
        )

    async def measure_pulses(self, bases: Bits) -> Clicks:
        """Measure the peer's next train of pulses."""
        clock, client = self.register.clock, self.register.client
        detection = await self._within(
            client.measure_pulses(clock.now(), self.tag, self.link, bases), "pulses"
        )
        await clock.until(detection.time)
        return Clicks(detection.clicked, detection.bits)

    async def emit_train(self, count: int) -> SentTrain:
        """Emit pulses whose settings the transmitter draws."""
        clock, client = self.register.clock, self.register.client
        sent = await client.emit_train(clock.now(), self.tag, self.link, count)
        await clock.until(sent.time)
        return SentTrain(client, self.tag, sent)

    async def measure_train(self, count: int) -> TrainClicks:
        """Measure the peer's next train of drawn pulses in drawn bases."""
        clock, client = self.register.clock, self.register.client
        seen = await self._within(client.measure_train(clock.now(), self.tag, self.link, count), "a train")
        await clock.until(seen.time)
        return TrainClicks(seen.indices, seen.bases, seen.bits)

    async def _within(self, request: Coroutine[Any, Any, AnswerT], awaited: str) -> AnswerT:
        try:
            async with asyncio.timeout(self.deadline):
                return await answered(request, awaited)
        except TimeoutError:
            raise DeadlinePassed(self.peer, self.deadline, awaited) from None
