"""Virtual time stands still while the control party lets something begin, or end, at several nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared_state.oracle import OracleClient


class StandStill:
    """Holds the lab's virtual time, for one block at a time; in real time it does nothing."""

    def __init__(self, oracle: OracleClient) -> None:
        self._oracle = oracle
        self._one = asyncio.Lock()

    @property
    def is_virtual(self) -> bool:
        """Tell whether there is a time that can stand still."""
        return self._oracle.mode == "virtual"

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let virtual time stand still inside the block."""
        if not self.is_virtual:
            yield
            return
        async with self._one:
            try:
                await self._oracle.hold()
                yield
            finally:
                await self._oracle.release()
