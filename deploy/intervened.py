"""What was done to a lab while it was recorded, read from its record so that it can be done again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from deploy.errors import RecordInvalid
from deploy.interventions import REPEATABLE
from shared_state.clock import MAX_TIME


@dataclass(frozen=True, slots=True)
class Intervention:
    """``what`` of ``deploy.faults.Faults`` was done at the emulated time ``at``."""

    at: float
    what: str
    arguments: dict[str, Any]


class Interventions(NamedTuple):
    """What was done ``before`` the run began, at the emulated time ``begun``, and what ``meanwhile``."""

    before: list[Intervention]
    begun: float
    meanwhile: list[Intervention]


def interventions(record: Path) -> Interventions:
    """Return what was done to the lab of a record.

    Raise ``RecordInvalid`` where something was done on the wall, which cannot be done again at the same time.
    """
    before: list[Intervention] = []
    meanwhile: list[Intervention] = []
    found, begun = before, 0.0
    with record.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if b'"event":"part.started"' in line and found is before:
                found, begun = meanwhile, _time(record, number, line)
            elif b'"event":"lab.intervened"' in line:
                found.append(_read(record, number, line))
    return Interventions(before, begun, meanwhile)


def _time(record: Path, number: int, line: bytes) -> float:
    try:
        return _moment(json.loads(line)["at"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise RecordInvalid(f"{record}:{number}: no event can be read here ({error})") from error


def _read(record: Path, number: int, line: bytes) -> Intervention:
    try:
        told = json.loads(line)
        done = Intervention(_moment(told["at"]), str(told["what"]), dict(json.loads(told["arguments"])))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise RecordInvalid(f"{record}:{number}: no intervention can be read here ({error})") from error
    if done.what not in REPEATABLE:
        raise RecordInvalid(
            f"{record}:{number}: {done.what} was done to a process, which happens on the wall: no run with that repeats"
        )
    return done


def _moment(at: Any) -> float:
    """Read an emulated time. Raise ``ValueError`` for what is none."""
    if not 0 <= (time := float(at)) <= MAX_TIME:
        raise ValueError(f"{time:g} s is no time of a lab")
    return time
