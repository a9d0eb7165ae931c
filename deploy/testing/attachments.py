"""What a failed test shows of its lab: how it can be done again, what it was warned of, logs and the last events."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from deploy.errors import DeployError
from deploy.logbook import last_lines
from deploy.testing.event_record import events_in
from deploy.testing.own_lab import OwnLab
from deploy.testing.standing import StandingLab

_LINES: Final = 15
_EVENTS: Final = 30
_LOGS: Final = 12
"""Logs of so many processes, those written to last."""


def attachments(lab: StandingLab) -> Iterator[tuple[str, str]]:
    """Yield titles and texts."""
    if isinstance(lab, OwnLab):
        yield f"lab {lab.name}", _how_it_was(lab)
    if lab.warnings:
        yield f"lab {lab.name}: warnings", "\n".join(lab.warnings)
    if lab.directory is not None:
        logs = sorted((lab.directory / "logs").glob("*.log"), key=lambda log: log.stat().st_mtime)[-_LOGS:]
        for log in sorted(logs):
            if lines := last_lines(log, _LINES):
                yield f"lab {lab.name}: log of {log.stem}", "\n".join(lines)
    if lab.record is not None and lab.record.is_file():
        with suppress(DeployError):  # of a lab that does not answer, those that have come
            lab.catch_up()
        last = deque(events_in(lab.record), maxlen=_EVENTS)
        yield f"lab {lab.name}: the last {len(last)} events", "\n".join(map(str, last))


def _how_it_was(lab: OwnLab) -> str:
    world = lab.planned.plan.world
    file = lab.planned.head.lab_file
    again = (
        f"to do it again: seed={world.seed} in the mark" if world.seed is not None else "dice of the system"
    )
    time = "virtual time" if world.clock.mode == "virtual" else "real time"
    return f"{file}, in {time}, {again}"
