"""The logs of a lab's processes: event records as JSON lines, and between them whatever a program printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path


def readable(line: str) -> str:
    """Write an event record as text; leave any other line as it is."""
    try:
        record = json.loads(line)
        fields = " ".join(f"{key}={value}" for key, value in record["fields"].items() if value != "")
        return f"{record['time']:12.6f} s  {record['name']:14} {record['session'] or '-':8} {fields}"
    except (ValueError, KeyError, TypeError):
        return line


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log, readable; none when it cannot be read."""
    return [readable(line) for line in _lines(log)][-count:]


def printed(log: Path) -> Iterator[str]:
    """Yield the lines that are no event records: what a program printed, and what Python warned of."""
    return (line for line in _lines(log) if readable(line) == line)


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()
    except OSError:
        return []
