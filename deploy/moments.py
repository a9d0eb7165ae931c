"""When something is done to a lab from outside: in virtual time between two turns, and one thing after the other."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, TypeAlias

from shared_state.oracle import OracleClient
from shared_state.party import number
from shared_state.wire import Message

Halt: TypeAlias = tuple[str, asyncio.Future[Message]]
"""Who has asked for time to stand still, and the time to come."""


class Moments:
    """Moments of the lab's clock, as ``oracle`` can have them; what is done in each is told to the record."""

    def __init__(self, oracle: OracleClient) -> None:
        self._oracle = oracle
        self._numbers = count(1)
        self._booked: defaultdict[float, deque[Halt]] = defaultdict(deque)
        self.one_at_a_time = asyncio.Lock()

    def book(self, when: float) -> Halt | None:
        """Ask for a halt of virtual time at once, which what is done at ``when`` will use; nothing in real time."""
        if self._oracle.mode != "virtual":
            return None
        halt = self._halt(when)
        self._booked[when].append(halt)
        return halt

    async def give_back(self, when: float, halt: Halt | None) -> None:
        """Let time pass a halt that was booked and that nobody has used."""
        if halt is not None and halt in self._booked[when]:
            self._booked[when].remove(halt)
            halt[1].cancel()
            await self._oracle.go_on(halt[0])

    @asynccontextmanager
    async def intervening(self, what: str, when: float | None, **arguments: Any) -> AsyncIterator[float]:
        """Let nothing happen inside the block but what is done here; give the time, which is not before ``when``."""
        async with self.halted(when) as now, self.one_at_a_time:
            await self._oracle.intervene(now, what, _text(arguments))
            yield now

    @asynccontextmanager
    async def halted(self, when: float | None) -> AsyncIterator[float]:
        """Wait for a time of the lab's clock, the next moment between two turns where it is None; give it.

        Virtual time stands still inside the block.
        """
        if self._oracle.mode != "virtual":
            if when is not None:
                await asyncio.sleep(max(0.0, when - await self._oracle.now()) / self._oracle.scale)
            yield await self._oracle.now()
            return
        booked = when is not None and self._booked.get(when)
        who, halting = booked.popleft() if booked else self._halt(when)
        try:
            yield number(await halting)
        finally:
            await self._oracle.go_on(who)

    async def told(self, what: str, **arguments: Any) -> None:
        """Tell the record of what was done on the wall."""
        await self._oracle.intervene(await self._oracle.now(), what, _text(arguments))

    def _halt(self, when: float | None) -> Halt:
        who = f"intervention-{next(self._numbers)}"
        return who, self._oracle.halting(who, when)


def _text(arguments: dict[str, Any]) -> str:
    return json.dumps(arguments, sort_keys=True)
