"""What a test has left in a lab that others use after it."""

from __future__ import annotations

import asyncio
from typing import Final

from deploy.testing.own_lab import OwnLab
from deploy.testing.standing import StandingLab

_PATIENCE: Final = 5.0
_LOOK_EVERY: Final = 0.02


def leaks(lab: StandingLab) -> list[str]:
    """Call off what was not waited for, and say what is left: runs, qubits, processes that have ended."""
    left = [f"'{what}' was not awaited to its end" for what in lab.thread.unfinished()]
    lab.thread.call_off()
    if isinstance(lab, OwnLab):
        left += lab.thread.wait_for(_inside(lab))
    return left


async def _inside(lab: OwnLab) -> list[str]:
    dead = [f"process '{each.name}' {each.how()}" for each in lab.dead()]
    if dead or lab.planned.plan.key_links:  # links that make keys hold qubits all the time
        return dead
    census: dict[str, int] = {}
    try:
        async with asyncio.timeout(_PATIENCE):
            # the end of a run is told before its last qubits are gone, and no event tells of that
            while any((census := await _held(lab)).values()):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_EVERY)
    except TimeoutError:
        return [f"{count} {what}" for what, count in census.items() if count]
    return []


async def _held(lab: OwnLab) -> dict[str, int]:
    census = await lab.oracle.census()
    return {
        "qubits in the quantum world": census.qubits,
        "memories reserved": census.reserved,
        "qubits handed over and not judged": census.handed_over,
        "requests that wait for another party": census.waiting,
    }
