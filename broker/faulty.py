"""A bus that goes wrong on purpose, for tests: envelopes are dropped, delayed, duplicated, reordered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from broker.bus import Bus, Delivery
from broker.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Delayed:
    """An envelope that is handed over ``delay`` wall seconds later, behind others that come meanwhile."""

    envelope: Envelope
    delay: float


Fault = Callable[[Envelope], Iterable[Envelope | Delayed]]
"""What becomes of an envelope: nothing, itself, several of it, another, all of these at once or later."""


@dataclass(frozen=True, slots=True)
class RandomFaults:
    """Faults by chance.

    Each envelope is dropped with probability ``drop``; otherwise there are two of it with
    probability ``duplicate``; each of these is delayed with probability ``delay``, uniformly up to
    ``longest`` wall seconds, which reorders them.
    """

    chance: np.random.Generator
    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    longest: float = 0.005

    def __call__(self, envelope: Envelope) -> Iterable[Envelope | Delayed]:
        """Decide what becomes of the envelope."""
        if self.chance.random() < self.drop:
            return
        for _ in range(2 if self.chance.random() < self.duplicate else 1):
            late = self.chance.random() < self.delay
            yield Delayed(envelope, self.chance.uniform(0, self.longest)) if late else envelope


class FaultyBus:
    """A bus whose outgoing envelopes pass through ``fault``. Announcements and arrivals are left alone.

    Leaving waits for what is delayed.
    """

    def __init__(self, bus: Bus, fault: Fault) -> None:
        self._bus, self._fault = bus, fault

    @property
    def name(self) -> str:
        """Return the party's name."""
        return self._bus.name

    async def __aenter__(self) -> Self:
        await self._bus.__aenter__()
        self._group = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._group.__aexit__(None, None, None)
        finally:
            await self._bus.__aexit__(*exc)

    async def publish(self, envelope: Envelope) -> None:
        """Hand over what the fault makes of the envelope."""
        for outcome in self._fault(envelope):
            if isinstance(outcome, Delayed):
                self._group.create_task(self._publish_later(outcome))
            else:
                await self._bus.publish(outcome)

    async def announce(self, channel: str, body: dict[str, Any]) -> None:
        """Tell everyone."""
        await self._bus.announce(channel, body)

    def deliveries(self) -> AsyncIterator[Delivery]:
        """Iterate over what arrives."""
        return self._bus.deliveries()

    async def _publish_later(self, delayed: Delayed) -> None:
        await asyncio.sleep(delayed.delay)
        await self._bus.publish(delayed.envelope)
