"""One process of a lab, as its launcher knows it: where it listens, when it is ready, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from deploy.errors import ProcessDied
from deploy.logbook import last_lines

_LAST_LINES = 12


@dataclass(slots=True, kw_only=True)
class Child:
    """One process of the lab. ``port`` is where it listens for who asks from this host, 0 where it does not.

    ``restarts`` counts the processes of this name that have died before it and were replaced.
    """

    name: str
    log: Path
    pid: int = 0
    port: int = 0
    restarts: int = 0
    failure: str = ""
    exitcode: int | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def died(self) -> ProcessDied:
        """Return the error that tells how this process ended."""
        return ProcessDied(self.name, self.how(), last_lines(self.log, _LAST_LINES))

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; tell whether the process was there to get it."""
        if self.ended.is_set():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:  # its end is news that has not been read yet
            return False
        return True

    def how(self) -> str:
        """Say how this process ended."""
        if self.failure:
            return f"failed: {self.failure}"
        code = self.exitcode
        return (
            f"was ended by signal {-code}"
            if code is not None and code < 0
            else f"ended with exit code {code}"
        )


async def started(child: Child, within: float) -> None:
    """Wait until a process is ready; raise ``ProcessDied`` when it ends first, or is not ``within`` so many seconds."""
    waits = [asyncio.ensure_future(event.wait()) for event in (child.ready, child.ended)]
    try:
        done, _ = await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if not done:
        child.failure = f"was not ready within {within:g} s"
    if not child.ready.is_set():
        raise child.died()
