"""A lab for one command: brought up for it and taken down after it, or one that is up already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from deploy.cli.screen import caution, err, say
from deploy.errors import RunUnsuccessful, UsageError
from deploy.jobs import Job, request_for
from deploy.lab import LauncherName
from deploy.laboratory import Laboratory
from deploy.logbook import printed
from deploy.plan import plan
from deploy.recording import begin, header_of, seeded
from deploy.registry import Registry
from deploy.remote_lab import RemoteLab
from deploy.topology import find, load
from nodes.runtime.run_request import RunResult
from shared_state.config import ClockMode

ResultT = TypeVar("ResultT")


class LabHandle(Protocol):
    """A lab that does jobs, in this process or behind its control plane."""

    async def run(self, job: Job, progress: Callable[[int], None]) -> RunResult:
        """Do a job."""


@dataclass(frozen=True, slots=True)
class LabChoice:
    """The lab for a command, as its options say: the file ``lab``, brought up for it, or the one called ``running``;
    with neither, the only one that is up.

    The file's lab has the clock ``clock``, by default the one that the file states, by default virtual time, and its
    parties are started by ``launcher``, by default the file's. To ``record`` its events are written; a lab without a
    seed draws one for that.
    """

    lab: str | None = None
    running: str | None = None
    seed: int | None = None
    clock: ClockMode | None = None
    record: Path | None = None
    launcher: LauncherName | None = None

    def check(self) -> None:
        """Raise ``UsageError`` for options that do not go together."""
        if self.lab is not None and self.running is not None:
            raise UsageError("give either --lab FILE or -l NAME, not both")
        if self.lab is not None:
            return
        if self.seed is not None:
            raise UsageError("a lab that is up has its seed already; --seed goes with --lab")
        if self.clock is not None:
            raise UsageError("a lab that is up has its clock already; --clock goes with --lab, or with 'up'")
        if self.launcher is not None:
            raise UsageError(
                "a lab that is up has its processes already; --launcher goes with --lab, or with 'up'"
            )
        if self.record is not None:
            raise UsageError(
                "a lab that is up keeps a record of its own, see 'bellwire events'; --record goes with --lab"
            )


@asynccontextmanager
async def open_lab(job: Job, choice: LabChoice) -> AsyncIterator[LabHandle]:
    """Give the block the lab of its user's ``choice`` for ``job``. A job that the lab cannot do brings nothing up."""
    choice.check()
    registry, record = Registry(), choice.record
    if choice.lab is None:
        yield RemoteLab(registry.find(choice.running).socket)
        return
    valid = load(find(choice.lab))
    planned = plan(
        valid, default_mode="virtual", mode=choice.clock, seed=choice.seed, launcher=choice.launcher
    )
    request_for(job, planned)
    if record is not None:
        planned = seeded(planned)
        begin(record, header_of(valid, planned, job))
    with registry.scratch() as directory:
        say(f"Bringing up lab [bold]{planned.lab}[/]: {', '.join(planned.nodes)} ...")
        try:
            async with Laboratory(planned, directory, caution, record) as laboratory:
                try:
                    yield laboratory
                except RunUnsuccessful:
                    if record is not None:
                        await laboratory.close_record()
                    raise
                if record is not None:
                    await laboratory.close_record()
        finally:
            for name in planned.nodes:
                for line in printed(directory / "logs" / f"{name}.log"):
                    err.print(f"{name}: {line}", markup=False, soft_wrap=True)
