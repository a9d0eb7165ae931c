"""A lab that was up before the tests and stays up after them: reached through its control plane."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from deploy.control_address import OperatorDocument, document_at
from deploy.errors import ControlUnreachable, DeployError, Reported
from deploy.laboratory import ProcessStatus
from deploy.recording import RECORD
from deploy.registry import LabDirectory, Registry
from deploy.remote_lab import RemoteLab
from deploy.testing.errors import NotOfThisLab
from deploy.testing.lab_thread import LabThread
from deploy.testing.mark import Wanted
from deploy.testing.mirror import Mirror
from deploy.testing.planned import lab_of
from deploy.testing.standing import Controls, StandingLab
from nodes.runtime.attendants import attendants
from nodes.runtime.lag import LagFigures
from shared_state.oracle import OracleClient

ResultT = TypeVar("ResultT")


class RunningLab(StandingLab):
    """The lab at ``url``: the name of one that is up on this machine, or the path of its control plane's socket, or the
    operator's document of one on other hosts, whose files are there; its events come to a record in a directory that
    ``new_directory`` makes.

    Raises ``NotFound`` and ``ControlUnreachable``.
    """

    oracle: OracleClient | None = None
    """Nobody looks into the quantum world of somebody else's lab."""

    def __init__(self, url: str, new_directory: Callable[[], Path]) -> None:
        place = place_of(url)
        self._remote = RemoteLab(place.socket)
        self.record: Path | None = None
        self._mirror: Mirror | None = None
        if isinstance(place, OperatorDocument):
            self.own_files = new_directory()
            self._mirror = Mirror(self._remote, self.own_files / RECORD)
        self.controls: Controls = self._remote
        self.thread: LabThread[dict[str, Any]] = LabThread(self._reached())
        told = self.thread.open()
        self.name: str = told["name"]
        self.clock: str = told["clock"]
        self.nodes: list[str] = told["nodes"]
        self.links = None
        self.directory: Path | None = place.path if isinstance(place, LabDirectory) else None
        record = (self.directory or self.own_files or Path()) / RECORD
        self.record = record if record.is_file() else None
        self.warnings: list[str] = []

    def check(self, wanted: Wanted) -> None:
        """Make sure that the lab is what a test wants. Raise ``NotOfThisLab`` with the reason why it is not."""
        lab, _ = lab_of(wanted)
        if lab.name != self.name:
            raise NotOfThisLab(f"wants lab '{lab.name}', and lab '{self.name}' is up")
        if wanted.overrides != "{}" or wanted.seed is not None:
            raise NotOfThisLab(f"wants a seed or overrides of its own; lab '{self.name}' is up as it is")
        if wanted.clock not in (None, self.clock):
            raise NotOfThisLab(f"wants time to be {wanted.clock}; in lab '{self.name}' it is {self.clock}")

    def catch_up(self) -> None:
        """Return when all is in the record that has happened so far. Raise ``ControlUnreachable``."""
        if self._mirror is not None and self.record is not None:
            self.thread.wait_for(self._mirror.catch_up(), "fetching events")

    def hindrance(self) -> str:
        """Say why events may be missing in the record; nothing where none are."""
        if self._mirror is None or self.record is None:
            return ""
        try:
            self.catch_up()  # a wire that is cut may not be known to be
        except DeployError as error:
            return f"events may be missing: {error}"
        return self._mirror.hindrance()

    async def status(self) -> list[ProcessStatus]:
        """Return the state of every process."""
        return [
            ProcessStatus(**(told | {"lag": None if told["lag"] is None else LagFigures(**told["lag"])}))
            for told in await self._remote.status()
        ]

    async def unless_failed(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do the work: that the lab fails is seen by what is asked of it."""
        return await work

    async def kill_server(self, name: str) -> None:
        """Refuse to: what it ends is somebody else's."""
        raise NotOfThisLab(
            f"the servers of lab '{self.name}', which was up before, are not for tests to kill; its nodes are"
        )

    def close(self) -> None:
        """Let go of the lab, which stays up."""
        self.thread.close()

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[dict[str, Any]]:
        told = await self._remote.describe()
        async with attendants() as attend:
            if self._mirror is not None:
                try:
                    await self._mirror.begin(told["name"])
                    attend(self._mirror.keep())
                except Reported as reason:
                    self.silence = str(reason)
            yield told


def place_of(url: str) -> LabDirectory | OperatorDocument:
    """Return where the lab is that ``--lab-url`` means."""
    if (elsewhere := document_at(url)) is not None:
        return elsewhere
    if "://" in url and not url.startswith("unix://"):
        raise ControlUnreachable(
            f"--lab-url {url}: this Bellwire reaches labs by name, by the path of a control.sock, and on other hosts "
            "by the operator.json that 'bellwire export' writes"
        )
    path = Path(url.removeprefix("unix://"))
    if "/" not in url:
        return Registry().here(url)
    return LabDirectory(path.parent if path.name == "control.sock" else path)
