"""What one party has said and the bus has not taken yet."""

from __future__ import annotations

import asyncio
from typing import Final

from broker.bus import Bus
from broker.envelope import Envelope

_LENGTH: Final = 64
_IN_FLIGHT: Final = 16


class Outbox:
    """Publishes what is ``put`` into it, and what comes out of ``released``, a few messages at a time."""

    def __init__(self, bus: Bus, released: asyncio.Queue[Envelope]) -> None:
        self._bus = bus
        self._said: asyncio.Queue[Envelope] = asyncio.Queue(_LENGTH)
        self._queues = (self._said, released)

    async def put(self, envelope: Envelope) -> None:
        """Leave a message to ``dispatch``; wait only while too many are there."""
        await self._said.put(envelope)

    async def emptied(self) -> None:
        """Wait until everything has been published."""
        for queue in self._queues:
            await queue.join()

    async def dispatch(self) -> None:
        """Publish until cancelled; raise ``BrokerLost`` when that fails."""
        places = asyncio.Semaphore(_IN_FLIGHT)
        async with asyncio.TaskGroup() as publishing:
            for queue in self._queues:
                publishing.create_task(self._dispatch(queue, places, publishing))

    async def _dispatch(
        self, queue: asyncio.Queue[Envelope], places: asyncio.Semaphore, publishing: asyncio.TaskGroup
    ) -> None:
        while True:
            envelope = await queue.get()
            await places.acquire()
            publishing.create_task(self._publish(envelope, queue, places))

    async def _publish(
        self, envelope: Envelope, queue: asyncio.Queue[Envelope], places: asyncio.Semaphore
    ) -> None:
        try:
            await self._bus.publish(envelope)
        finally:
            queue.task_done()
            places.release()
