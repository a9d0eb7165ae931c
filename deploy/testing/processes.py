"""The processes of a lab, as a test takes them: looked at, and broken."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from deploy.errors import NotFound
from deploy.laboratory import ProcessStatus
from deploy.logbook import last_lines
from deploy.testing.doing import Doing
from deploy.testing.errors import NotOfThisLab
from deploy.wording import unknown


class ProcessHandle:
    """One process of a lab: the broker, the shared-state server, a node."""

    def __init__(self, doing: Doing, name: str) -> None:
        self._doing = doing
        self._faults = doing.lab.controls
        self.name = name

    async def status(self) -> ProcessStatus:
        """Return its state. Raise ``NotFound`` when the lab has no such process (any more)."""
        lab = self._doing.lab
        there = {each.name: each for each in await lab.thread.do("status", lab.status())}
        if self.name not in there:
            raise NotFound(unknown("process", self.name, there))
        return there[self.name]

    def logs(self, count: int = 1000) -> list[str]:
        """Return the last lines of its log, readable."""
        if (directory := self._doing.lab.directory) is None:
            raise NotOfThisLab(f"the logs of lab '{self._doing.lab.name}' are on another host")
        return last_lines(directory / "logs" / f"{self.name}.log", count)

    async def kill(self) -> None:
        """Kill it (SIGKILL), as a crash or a power cut would."""
        await self._doing.do(f"kill {self.name}", self._doing.lab.kill_server(self.name))
        self._doing.spoil(f"{self.name} was killed")


class NodeHandle(ProcessHandle):
    """One node of a lab."""

    async def kill(self) -> None:
        """Kill its process, as a crash or a power cut would: it stays dead until ``resume``."""
        await self._doing.do(f"kill {self.name}", self._faults.kill(self.name), undo=self._resume)

    async def pause(self) -> None:
        """Stop its process, until ``resume``: it does not answer, and has not gone either."""
        await self._doing.do(f"pause {self.name}", self._faults.pause(self.name), undo=self._resume)

    async def resume(self) -> None:
        """Let it go on, or start it again and wait for it when it is dead."""
        undone = (f"kill {self.name}", f"pause {self.name}")
        await self._doing.do(f"resume {self.name}", self._resume(), undoes=undone)

    def _resume(self) -> Coroutine[Any, Any, None]:
        return self._faults.resume(self.name)
