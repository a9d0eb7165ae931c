"""The head of a record: everything that it takes to run the same program on the same lab again.

There is no credential in it. With a seed in it, everything drawn in the run can be drawn again, keys included.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from secrets import randbits
from typing import Final

import dacite

from deploy.errors import NotFound, RecordIncomplete, RecordInvalid
from deploy.jobs import Job, request_for
from deploy.lab import Lab
from deploy.plan import Plan
from shared_state.config import ClockMode

FORMAT: Final = 1
RECORD: Final = "record.jsonl"
"""The name of the record in the directory of a lab that is up."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a record.

    ``lab_file`` is the lab's path and ``lab_text`` what is in it; ``seed`` is the one that was used, None where dice
    came from the operating system. ``program`` is empty where the record is of a lab that is up, otherwise a name or a
    path, with the SHA-256 of the file; ``roles`` are complete. ``versions`` are those of Bellwire, Python and numpy.
    """

    bellwire_record: int
    lab: str
    lab_file: str
    lab_text: str
    seed: int | None
    clock: ClockMode
    program: str
    program_sha256: str
    roles: dict[str, str]
    rounds: int
    parameters: dict[str, str]
    deadline: float
    tap: str | None
    versions: dict[str, str]

    def job(self) -> Job:
        """Return the job that was done."""
        return Job(self.program, self.roles, self.rounds, self.parameters, self.deadline, self.tap)


def header_of(lab: Lab, plan: Plan, job: Job | None = None) -> Header:
    """Return the head of the record of ``job`` on ``lab``, or of the lab as long as it is up."""
    request = None if job is None else request_for(job, plan)
    return Header(
        bellwire_record=FORMAT,
        lab=lab.name,
        lab_file=str(lab.file.resolve()),
        lab_text=lab.file.read_text(encoding="utf-8-sig"),
        seed=plan.world.seed,
        clock=plan.world.clock.mode,
        program="" if request is None else request.program,
        program_sha256="" if request is None else digest_of(request.program),
        roles={} if request is None else dict(request.roles),
        rounds=0 if job is None else job.rounds,
        parameters={} if job is None else dict(job.parameters),
        deadline=0.0 if job is None else job.deadline,
        tap=None if job is None else job.tap,
        versions={
            "bellwire": version("bellwire"),
            "python": platform.python_version(),
            "numpy": version("numpy"),
        },
    )


def digest_of(program: str) -> str:
    """Return the SHA-256 of a program's file; empty for a program of Bellwire's own, and for a file that has gone."""
    file = Path(program)
    return sha256(file.read_bytes()).hexdigest() if program.endswith(".py") and file.is_file() else ""


def seeded(plan: Plan) -> Plan:
    """Return a plan whose dice can be thrown again: with the seed that it has, or one that is drawn now."""
    if plan.world.seed is not None:
        return plan
    return replace(plan, world=replace(plan.world, seed=randbits(63)))


def begin(file: Path, header: Header) -> None:
    """Begin a record, in place of what is in the file. Raise ``NotFound`` where it cannot be written."""
    line = json.dumps(asdict(header), ensure_ascii=False, separators=(",", ":")) + "\n"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as writing:
            writing.write(line)
    except OSError as error:
        raise NotFound(f"cannot write the record {file}: {error.strerror or error}") from error


def check_complete(file: Path, events: int, failure: str) -> None:
    """Raise ``RecordIncomplete`` unless a record has so many events; ``failure`` says why it has not, if known."""
    try:
        written = file.read_bytes().count(b"\n") - 1
    except OSError as error:
        raise RecordIncomplete(f"the record {file} is gone: {error.strerror or error}") from error
    if failure or written != events:
        raise RecordIncomplete(
            failure or f"the record {file} has {written} of {events} events: is the disk full?"
        )


def read_header(file: Path) -> Header:
    """Read the head of a record. Raise ``NotFound`` for no file, ``RecordInvalid`` for one that is no record."""
    try:
        with file.open(encoding="utf-8") as reading:
            first = reading.readline()
    except OSError as error:
        raise NotFound(f"cannot read the record {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RecordInvalid(f"{file} is no record: it is not text in UTF-8") from error
    try:
        written = json.loads(first)
        if written["bellwire_record"] != FORMAT:
            raise RecordInvalid(
                f"{file} is a record of format {written['bellwire_record']}; this Bellwire reads {FORMAT}"
            )
        return dacite.from_dict(Header, written, config=dacite.Config(strict=True, type_hooks={float: float}))
    except (ValueError, KeyError, TypeError, dacite.DaciteError) as error:
        raise RecordInvalid(
            f"{file} is no record: its first line is not the head of one ({error})"
        ) from error
