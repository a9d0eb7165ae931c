"""A lab's record as a test reads it: event by event, from any place in it on, and further as it is written."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.errors import DeployError
from deploy.tailing import tail

_AT_ONCE: Final = 1000
_HEAD: Final = ("at", "node", "session", "event")


@dataclass(frozen=True, slots=True)
class LabEvent:
    """One event of a lab's record. ``at`` is its emulated time in seconds; ``fields`` are its own, by name.

    ``end`` is where it ends in the record, in bytes: see ``Events.wait_for``.
    """

    at: float
    node: str
    session: str
    name: str
    fields: Mapping[str, Any]
    end: int = field(compare=False, default=0)

    def __getitem__(self, name: str) -> Any:
        """Return a field of its own."""
        return self.fields[name]

    def fits(self, name: str, node: str | None, fields: Mapping[str, Any]) -> bool:
        """Tell whether it has this name, or begins with it, is of this node, and has these fields."""
        return (
            f"{self.name}.".startswith(f"{name or self.name}.")
            and node in (None, self.node)
            and all(self.fields.get(key, ...) == value for key, value in fields.items())
        )

    def __str__(self) -> str:
        """Write it on a line."""
        rest = " ".join(f"{key}={value}" for key, value in self.fields.items())
        return f"{self.at:14.9f} s  {self.node:10} {self.session or '-':16} {self.name:18} {rest}"


def end_of(record: Path) -> int:
    """Return where the last complete line of a record ends, in bytes."""
    with record.open("rb") as file:
        position = file.seek(0, 2)
        while position:
            begin = max(0, position - 65536)
            file.seek(begin)
            if (newline := file.read(position - begin).rfind(b"\n")) >= 0:
                return begin + newline + 1
            position = begin
    return 0


async def first(
    file: Path, start: int, fits: Callable[[LabEvent], bool], others: deque[LabEvent]
) -> LabEvent:
    """Wait for the first event from byte ``start`` on that fits; those before it go to ``others``."""
    position = start
    # without a program, as far as it is written already
    for number, event in enumerate(events_in(file, start), 1):
        position = event.end
        if fits(event):
            return event
        others.append(event)
        if not number % _AT_ONCE:
            await asyncio.sleep(0)  # the lab lives on this loop, too
    async with tail(file, position) as lines:
        async for line in lines:
            position += len(line)
            if (told := _event(line, position)) is None:
                continue
            if fits(told):
                return told
            others.append(told)
    raise DeployError(f"the record {file} cannot be read any more")


def events_in(file: Path, start: int = 0) -> Iterator[LabEvent]:
    """Yield what is in a record so far, from byte ``start`` on."""
    with file.open("rb") as lines:
        position = lines.seek(start)
        for line in lines:
            position += len(line)
            if line.endswith(b"\n") and (event := _event(line, position)):
                yield event


def _event(line: bytes, end: int) -> LabEvent | None:
    """Read a line; None for the head of the record."""
    told: dict[str, Any] = json.loads(line)
    if "event" not in told:
        return None
    fields = {key: value for key, value in told.items() if key not in _HEAD}
    return LabEvent(told["at"], told["node"], told["session"], told["event"], fields, end)
