"""A lab that is brought up for tests and taken down after them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from deploy.child import Child
from deploy.laboratory import Laboratory, ProcessStatus
from deploy.recording import RECORD, begin
from deploy.testing.lab_thread import LabThread
from deploy.testing.planned import Planned
from deploy.testing.standing import Controls, StandingLab
from shared_state.oracle import OracleClient

ResultT = TypeVar("ResultT")


class OwnLab(StandingLab):
    """The lab of a plan, in ``directory``: all its nodes are ready. Raises what ``Laboratory`` raises."""

    def __init__(self, planned: Planned, directory: Path) -> None:
        self.planned = planned
        self.name = planned.plan.lab
        self.nodes = list(planned.plan.nodes)
        self.links = list(planned.plan.world.links)
        self.directory: Path = directory
        self.own_files: Path = directory
        self.record = record = directory / RECORD if planned.plan.record else None
        self.warnings: list[str] = []
        (directory / "lab.yaml").write_text(planned.text, encoding="utf-8")
        self.thread: LabThread[Laboratory] = LabThread(self._up(record))
        self._lab = self.thread.open()
        self.controls: Controls = self._lab
        self.oracle: OracleClient = self._lab.oracle

    async def status(self) -> list[ProcessStatus]:
        """Return the state of every process."""
        return self._lab.status()

    async def unless_failed(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do the work; when the lab fails first, raise why."""
        task, failing = asyncio.ensure_future(work), asyncio.ensure_future(self._lab.failed())
        try:
            await asyncio.wait([task, failing], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise failing.result()
            return task.result()
        finally:
            for each in (task, failing):
                each.cancel()
            await asyncio.gather(task, failing, return_exceptions=True)

    async def kill_server(self, name: str) -> None:
        """Kill the broker's process, or the shared-state server's."""
        self._lab.premises.children[name].signal(signal.SIGKILL)

    def dead(self) -> list[Child]:
        """Return the processes that have ended."""
        return self._lab.premises.dead()

    def close(self) -> None:
        """Take the lab down."""
        self.thread.close()

    @asynccontextmanager
    async def _up(self, record: Path | None) -> AsyncIterator[Laboratory]:
        if record is not None:
            begin(record, self.planned.head)
        async with Laboratory(self.planned.plan, self.directory, self.warnings.append, record) as lab:
            yield lab
