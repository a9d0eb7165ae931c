"""A lab that stands: what all labs that tests can run against have in common, whoever has brought them up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from deploy.jobs import Job
from deploy.key_pools import KeyPool
from deploy.laboratory import ProcessStatus
from deploy.testing.lab_thread import LabThread
from nodes.runtime.conductor import RunResult
from shared_state.oracle import OracleClient

ResultT = TypeVar("ResultT")


class Controls(Protocol):
    """What can be asked of a lab and done to it: ``Laboratory`` and ``RemoteLab`` alike."""

    async def run(self, job: Job, progress: Callable[[int], None] = ...) -> RunResult:
        """Do a job."""

    async def keys(self) -> list[KeyPool]:
        """Tell what the nodes have in store."""

    async def set_link(self, name: str, up: bool) -> None:
        """Cut a link, or mend it."""

    async def change_link(self, name: str, changes: Mapping[str, str]) -> None:
        """Change what a link is; what is not named stays."""

    async def reset_link(self, name: str) -> None:
        """Let a link be as the lab file has it."""

    async def flap_link(self, name: str, down: float, up: float, times: int) -> None:
        """Cut a link and mend it, again and again."""

    async def attach_eve(self, link: str, *, strategy: str, fraction: float, at: str | None) -> str:
        """Let somebody listen on a link; return her name."""

    async def detach_eve(self, name: str) -> None:
        """Let her go."""

    async def kill(self, node: str) -> None:
        """Kill a node's process."""

    async def pause(self, node: str) -> None:
        """Stop a node's process."""

    async def resume(self, node: str) -> None:
        """Let it go on."""

    async def partition(self, *groups: Sequence[str], planes: str = "both") -> None:
        """Cut all that leads from one group of nodes to another."""

    async def heal(self) -> None:
        """Undo all partitions."""


class StandingLab(ABC):
    """A lab that is up. All coroutines in it are to be awaited on its ``thread``.

    ``owned``: it was brought up for tests. ``links`` is None where they are not known, ``directory`` and ``record``
    where they are on another host, ``oracle`` where a test may not look into the quantum world. ``warnings`` are
    what its user would have seen.
    """

    name: str
    owned: bool
    thread: LabThread[Any]
    controls: Controls
    nodes: Collection[str]
    links: Collection[str] | None
    directory: Path | None
    record: Path | None
    oracle: OracleClient | None
    warnings: list[str]

    @abstractmethod
    async def status(self) -> list[ProcessStatus]:
        """Return the state of every process."""

    @abstractmethod
    async def unless_failed(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do the work; when the lab fails first, raise why."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the lab: what was brought up for tests is taken down."""
