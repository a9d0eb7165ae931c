"""Two nodes that do nothing but wait for emulated time: each wait is one turn of the lab's clock.

Both wait for as long, the second half a wait behind the first, so the turn changes hands each time.
"""

from __future__ import annotations

from nodes.ports import Clock


async def alice(clock: Clock, waits: int = 1000) -> None:
    """Wait so many times."""
    for _ in range(waits):
        await clock.sleep(1e-6)


async def bob(clock: Clock, waits: int = 1000) -> None:
    """Wait as often, half a wait behind."""
    await clock.sleep(0.5e-6)
    for _ in range(waits - 1):
        await clock.sleep(1e-6)
