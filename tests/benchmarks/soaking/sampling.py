"""What a lab takes up at one moment: every process with its memory and descriptors, every qubit, every file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from deploy.laboratory import Laboratory
from deploy.recording import RECORD
from shared_state.oracle import Census
from tests.benchmarks.footprints import descendants, descriptors, footprint

SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Process:
    """One process: what it is called, its own memory in bytes (USS), and its open descriptors."""

    name: str
    pid: int
    memory: float
    descriptors: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A lab ``at`` a moment in seconds: its processes, the quantum world, the bytes of journal and record."""

    at: float
    processes: tuple[Process, ...]
    census: Census
    journal: int
    record: int

    @property
    def qubits(self) -> int:
        """Count the qubits that exist, and the memories that wait for one."""
        census = self.census
        return census.qubits + census.handed_over + census.reserved + sum(census.held.values())

    def names(self) -> list[str]:
        """Name all processes, one as often as there is one of that name."""
        return sorted(process.name for process in self.processes)


async def sample(laboratory: Laboratory, began: float) -> Sample:
    """Look at a lab of this process that is up; ``began`` is when its time began, on the monotonic clock."""
    directory = laboratory.directory
    return Sample(
        monotonic() - began,
        tuple(_processes(laboratory)),
        await laboratory.census(),
        sum(path.stat().st_size for path in (directory / "journal").iterdir()),
        (directory / RECORD).stat().st_size,
    )


def _processes(laboratory: Laboratory) -> Iterator[Process]:
    """Yield this process, all that descend from it, and the lab's own where an engine has started them."""
    names = {os.getpid(): SUPERVISOR}
    for pid in descendants(os.getpid()):
        names[pid] = _command(pid)
    for child in laboratory.premises.children.values():
        if not child.ended.is_set():
            names |= {pid: f"{child.name}/{_command(pid)}" for pid in descendants(child.pid)}
            names[child.pid] = child.name
    for pid, name in names.items():
        try:
            yield Process(name, pid, footprint(pid).uss, descriptors(pid))
        except (OSError, KeyError):  # it has ended meanwhile
            continue


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended"
