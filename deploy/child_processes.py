"""What every launcher keeps of a lab's processes: who there is, who has died, who is being stopped."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from deploy.child import Child, started
from deploy.launcher import SERVERS

ChildT = TypeVar("ChildT", bound=Child)


class ChildProcesses(ABC, Generic[ChildT]):
    """The processes of one lab, the latest of each name, as ``deploy.launcher.Launcher`` tells of them."""

    def __init__(self) -> None:
        self.children: dict[str, ChildT] = {}
        self._died: asyncio.Queue[ChildT] = asyncio.Queue()
        self._stopping: set[str] = set()

    async def started(self, *children: Child, within: float | None = None) -> None:
        """Wait until all are ready; raise ``ProcessDied`` for one that ends first or is not ``within`` so many s."""
        for child in children:
            await started(child, self._start_deadline() if within is None else within)

    async def watch(self) -> None:
        """Wait until a process ends that was not stopped; raise ``ProcessDied``."""
        raise (await self._died.get()).died()

    def dead(self) -> list[Child]:
        """Return the processes that have ended without having been stopped."""
        return [c for c in self.children.values() if c.ended.is_set() and c.name not in self._stopping]

    async def stop(self, *names: str) -> None:
        """End processes: the nodes first, all at a time, then the servers, to which they say goodbye."""
        self._stopping.update(names)
        for servers in (False, True):
            async with asyncio.TaskGroup() as group:
                for name in names:
                    if (name in SERVERS) == servers and not self.children[name].ended.is_set():
                        group.create_task(self._stop(self.children[name]))

    def _restarts(self, name: str) -> int:
        """Count the processes of this name that were started before the next one."""
        former = self.children.get(name)
        return 0 if former is None else former.restarts + 1

    @abstractmethod
    def _start_deadline(self) -> float:
        """Return the seconds in which a process is to be ready."""

    @abstractmethod
    async def _stop(self, child: ChildT) -> None:
        """End one process: ask, wait, and kill what does not answer."""
