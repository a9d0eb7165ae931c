"""Virtual time stands still while the control party lets something begin, or end, at several nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared_state.oracle import OracleClient


class StandStill:
    """Holds the lab's virtual time, for one block at a time; real time goes on."""

    def __init__(self, oracle: OracleClient) -> None:
        self._oracle = oracle
        self._one = asyncio.Lock()

    @property
    def is_virtual(self) -> bool:
        """Tell whether there is a time that can stand still."""
        return self._oracle.mode == "virtual"

    @asynccontextmanager
    async def held(self) -> AsyncIterator[float]:
        """Let virtual time stand still inside the block, and give the emulated time.

        That is when the last turn was given; what the server draws in advance may be stated for later.
        """
        if not self.is_virtual:
            yield await self._oracle.now()
            return
        async with self._one:
            try:
                yield await self._oracle.hold()
            finally:
                await self._oracle.release()
