"""A lab that stands: what all labs that tests can run against have in common, whoever has brought them up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from deploy.laboratory import Laboratory, ProcessStatus
from deploy.remote_lab import RemoteLab
from deploy.testing.lab_thread import LabThread
from shared_state.oracle import OracleClient

ResultT = TypeVar("ResultT")


Controls: TypeAlias = Laboratory | RemoteLab
"""What can be asked of a lab and done to it, wherever it is."""


class StandingLab(ABC):
    """A lab that is up. All coroutines in it are to be awaited on its ``thread``.

    ``links`` is None where they are not known, ``directory`` where it is on another host, ``oracle`` where a test may
    not look into the quantum world, ``record`` where nobody keeps one; ``silence`` says why, where that is known.
    ``own_files`` go when the tests are over, but for what is kept. ``warnings`` are what its user would have seen.
    """

    name: str
    thread: LabThread[Any]
    controls: Controls
    nodes: Collection[str]
    links: Collection[str] | None
    directory: Path | None
    record: Path | None
    own_files: Path | None = None
    silence: str = ""
    oracle: OracleClient | None
    warnings: list[str]

    def catch_up(self) -> None:  # noqa: B027 - most labs have nothing to do for it
        """Return when all is in the record that has happened so far: at once where the lab itself writes it."""

    def hindrance(self) -> str:
        """Say why events may be missing in the record; nothing where none are."""
        return ""

    @abstractmethod
    async def status(self) -> list[ProcessStatus]:
        """Return the state of every process."""

    @abstractmethod
    async def unless_failed(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do the work; when the lab fails first, raise why."""

    @abstractmethod
    async def kill_server(self, name: str) -> None:
        """Kill the broker's process, or the shared-state server's."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the lab: what was brought up for tests is taken down."""
