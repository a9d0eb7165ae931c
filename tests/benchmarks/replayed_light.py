"""Trains of pulses that Nature has drawn once, played again to whoever sifts them: only the sifting costs time."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nodes.agreement import LinkAgreement
from nodes.qkd.decoy_bb84 import Receiver, Transmitter
from nodes.qkd.filling import Counted
from nodes.runtime.mailboxes import mailboxes
from nodes.trains import PulseSettings, Train, TrainClicks
from shared_state.client import NodeClient
from shared_state.config import ServerConfig
from shared_state.deliveries import DrawnTrain
from shared_state.service import Service

RUN = "run"


@dataclass
class Light:
    """What was drawn of each train: at its two ends."""

    agreement: LinkAgreement
    sent: deque[PulseSettings] = field(default_factory=deque)
    seen: deque[TrainClicks] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A train on a link that records, or, without a client, one that is played again."""

    light: Light
    client: NodeClient | None = None
    train: DrawnTrain | None = None

    async def tally(self) -> NDArray[np.int64]:
        raise NotImplementedError("nobody asks while sifting")

    async def recall(self, indices: NDArray[np.int64]) -> PulseSettings:
        if self.client is None or self.train is None:
            return self.light.sent.popleft()
        settings = PulseSettings(*await self.client.recall(RUN, self.train, indices))
        self.light.sent.append(settings)
        return settings


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a link, with a client while it records."""

    light: Light
    link: str = ""
    client: NodeClient | None = None

    @property
    def agreement(self) -> LinkAgreement:
        return self.light.agreement

    async def emit_train(self, count: int, *, ahead: bool = False) -> Train:
        if self.client is None:
            return _Sent(self.light)
        return _Sent(self.light, self.client, await self.client.emit_train(0.0, RUN, self.link, count))

    async def measure_train(self, count: int) -> TrainClicks:
        if self.client is None:
            return self.light.seen.popleft()
        seen = await self.client.measure_train(0.0, RUN, self.link, count)
        self.light.seen.append(TrainClicks(seen.indices, seen.bases, seen.bits))
        return self.light.seen[-1]


async def recorded(config: ServerConfig, link: str, pulses: int) -> Light:
    """Sift so many pulses of a real link; return what was drawn of them."""
    light = config.world.links[link].pulses
    record = Light(LinkAgreement("decoy-bb84", pulse_rate=light.pulse_rate))
    service = Service(config, lambda: 0.0)
    clients = [await NodeClient.local(service, name=name) for name in ("alice", "bob")]
    ends = [_End(record, link, client) for client in clients]
    await _sifted(ends, len(light.intensities), pulses)
    for client in clients:
        await client.close()
    return record


async def sifted_again(light: Light, levels: int, pulses: int) -> tuple[Counted, Counted]:
    """Sift recorded light, which passes by that; return both ends' blocks."""
    return await _sifted([_End(light), _End(light)], levels, pulses)


async def _sifted(ends: list[_End], levels: int, pulses: int) -> tuple[Counted, Counted]:
    bob, alice = mailboxes()
    first, second = ends
    transmitter = Transmitter(first, bob, levels, 0, pulses)  # type: ignore[arg-type]
    receiver = Receiver(second, alice, levels, 0, pulses)  # type: ignore[arg-type]
    return await asyncio.gather(transmitter.block(), receiver.block())
