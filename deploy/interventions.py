"""What is done to the quantum world of a lab that is up, from outside: taps switched on for a job, links cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.errors import NotFound
from deploy.wording import unknown
from shared_state.config import WorldConfig
from shared_state.oracle import OracleClient


class Interventions:
    """Changes to ``world``, made through ``oracle``."""

    def __init__(self, world: WorldConfig, oracle: OracleClient) -> None:
        self._world = world
        self._oracle = oracle
        self._tap_users: Counter[str] = Counter()

    @asynccontextmanager
    async def tapped(self, tap: str | None) -> AsyncIterator[None]:
        """Keep a tap of the lab file switched on inside the block, for every run that uses its link meanwhile."""
        if tap is None:
            yield
            return
        self._tap_users[tap] += 1
        await self._oracle.set_tap(tap, True)
        try:
            yield
        finally:
            self._tap_users[tap] -= 1
            if not self._tap_users[tap]:
                await self._oracle.set_tap(tap, self._world.taps[tap].enabled)

    async def set_link(self, name: str, up: bool) -> None:
        """Cut a link, or mend it; raise ``NotFound`` where there is none of this name."""
        if name not in self._world.links:
            raise NotFound(unknown("link", name, self._world.links))
        await self._oracle.set_link(name, up)
