"""Running a recorded program again, and the first difference between the two records."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Final

from deploy.errors import DeployError, NotFound, RecordInvalid, RunUnsuccessful
from deploy.intervened import Intervention, interventions
from deploy.jobs import Job, request_for
from deploy.laboratory import Laboratory
from deploy.moments import Halt
from deploy.plan import plan
from deploy.recording import Header, begin, header_of, read_header
from deploy.topology import read
from nodes.runtime.programs import load
from shared_state.errors import RequestError

_DESTINATION: Final = "destination"
"""The parameter of a program that names a file which it writes: a replay does not touch that."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first line, from 1, that differs; ``at`` is its emulated time. A record that ends earlier has None there."""

    line: int
    at: float | None
    recorded: str | None
    replayed: str | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay: so many ``events`` are equal before the first ``difference``, if there is one.

    ``hints`` name what is not as it was when the record was made.
    """

    events: int
    difference: Difference | None
    hints: tuple[str, ...]


async def replay(
    recorded: Path, directory: Path, progress: Callable[[int], None] = lambda judged: None
) -> Replayed:
    """Run what a record is of again, in ``directory``, and compare.

    Raise ``NotFound`` and ``RecordInvalid`` for a file that is no record of a run in virtual time.
    """
    header = read_header(recorded)
    _check_repeatable(recorded, header)
    done = interventions(recorded)
    lab = read(header.lab_text, Path(header.lab_file))
    planned = plan(lab, default_mode="virtual", mode="virtual", seed=header.seed, host="")
    if planned.external:
        raise RecordInvalid(
            f"{recorded} is of a lab with nodes that others run ({', '.join(planned.external)}): what their "
            "programs do is not in it, and cannot be done again"
        )
    job = header.job()
    if _DESTINATION in job.parameters:
        job = replace(job, parameters={**job.parameters, _DESTINATION: str(directory / _DESTINATION)})
    request = request_for(job, planned)
    if planned.controller == "external" and load(request.program).cast(request.roles).asks_network:
        raise RecordInvalid(
            f"{recorded} is of a run whose ways a routing controller of somebody else's has found: what that answers "
            "is not in it, and cannot be had again"
        )
    again = directory / "replayed.jsonl"
    new = replace(header_of(lab, planned, job), lab_text=header.lab_text)
    begin(again, new)
    async with Laboratory(planned, directory, record=again) as laboratory:
        for intervention in done.before:
            await _intervene(laboratory, intervention)
        await laboratory.carry_out("pass_time", {"seconds": 0.0, "when": done.begun})
        await _run(laboratory, job, progress, done.meanwhile)
        await laboratory.close_record()
    events, difference = first_difference(recorded, again)
    return Replayed(events, difference, hints(header, new) if difference else ())


async def _run(
    laboratory: Laboratory, job: Job, progress: Callable[[int], None], meanwhile: Sequence[Intervention]
) -> None:
    """Do a job, and what was done to the lab meanwhile at the same emulated times."""
    async with asyncio.TaskGroup() as group:

        def begun() -> None:
            for intervention in meanwhile:
                booked = laboratory.book(intervention.at)
                group.create_task(_intervene_booked(laboratory, intervention, booked))

        with suppress(RunUnsuccessful):  # as it may have been then
            await laboratory.run(job, progress, begun)


async def _intervene_booked(laboratory: Laboratory, intervention: Intervention, booked: Halt | None) -> None:
    """Do something in the moment that was booked for it; where it is refused before that, time goes on."""
    try:
        await _intervene(laboratory, intervention)
    finally:
        await laboratory.give_back(intervention.at, booked)


async def _intervene(laboratory: Laboratory, intervention: Intervention) -> None:
    with suppress(DeployError, RequestError):  # as it may have been then
        await laboratory.carry_out(intervention.what, {**intervention.arguments, "when": intervention.at})


def first_difference(recorded: Path, replayed: Path) -> tuple[int, Difference | None]:
    """Compare the events of two records; return how many are equal, and where they differ first."""
    equal = 0
    with recorded.open("rb") as one, replayed.open("rb") as other:
        one.readline(), other.readline()
        for number, (old, new) in enumerate(zip_longest(one, other), 2):
            if old != new:
                time = _time(old) if old is not None else _time(new)
                return equal, Difference(number, time, _text(old), _text(new))
            equal += 1
    return equal, None


def hints(then: Header, now: Header) -> tuple[str, ...]:
    """Name what differs between two heads and may be why the events do."""
    found = [
        f"{name} is {now.versions.get(name)} now and was {was}"
        for name, was in then.versions.items()
        if now.versions.get(name) != was
    ]
    if then.program_sha256 != now.program_sha256:
        found.append(f"the program {then.program} has changed")
    return tuple(found)


def _check_repeatable(file: Path, header: Header) -> None:
    if not header.program:
        raise RecordInvalid(
            f"{file} is the record of a lab that was up; what can be repeated is one of 'run --record'"
        )
    if header.clock != "virtual":
        raise RecordInvalid(
            f"{file} was recorded in real time, which no two runs share; record in virtual time"
        )
    if header.seed is None:
        raise RecordInvalid(f"{file} has no seed: its dice cannot be thrown again")
    if header.program.endswith(".py") and not Path(header.program).is_file():
        raise NotFound(f"the program {header.program} of the record {file} is not there")


def _time(line: bytes | None) -> float | None:
    try:
        return float(json.loads(line or b"")["at"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _text(line: bytes | None) -> str | None:
    return None if line is None else line.decode(errors="replace").rstrip("\n")
