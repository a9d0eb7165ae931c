"""Who stops a process must let it go on, and may die before: a guardian does it then.

The guardian waits for the end of a pipe, which its owner closes or leaves behind, and sends SIGCONT. So no process that
was stopped outlives its lab: it goes on, finds its launcher gone, and ends.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Final

_COMMAND: Final = ("/bin/sh", "-c", 'read -r _; kill -CONT "$1"', "guardian")


class Guardian:
    """A process of its own, out of reach of the terminal's Ctrl-C, that watches over another one."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def of(cls, pid: int) -> Guardian:
        """Begin to watch over a process."""
        return cls(
            await asyncio.create_subprocess_exec(
                *_COMMAND, str(pid), stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
            )
        )

    async def release(self) -> None:
        """Let the process go on; return when it does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
