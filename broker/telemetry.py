"""Event records: one stream that logs, dashboards, metrics and golden traces read.

A record's name is stable and never reused for something else. A record holds no key, token or message body;
bytes are refused, so that no secret slips in by accident.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TextIO


@dataclass(frozen=True, slots=True)
class Record:
    """Something that happened.

    ``name`` is dotted, what before what about it (``bus.reconnected``); ``time`` is in seconds on the clock
    of the recorder; ``session`` is None outside of one; ``fields`` hold numbers, texts, booleans, None and
    lists of these, in SI without suffix, otherwise with the unit in the key.
    """

    name: str
    time: float
    node: str
    session: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


class Sink(Protocol):
    """Where records go."""

    def record(self, record: Record) -> None:
        """Take the record. Must not block."""


class ListSink:
    """Keep the records in memory."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def record(self, record: Record) -> None:
        """Append the record."""
        self.records.append(record)

    def names(self) -> list[str]:
        """Return the names of the records, in order."""
        return [record.name for record in self.records]


class JsonLinesSink:
    """Write the records to a text file, one JSON object a line, readable as soon as it is written."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def record(self, record: Record) -> None:
        """Write the record and flush."""
        self._file.write(to_json(record) + "\n")
        self._file.flush()


def to_json(record: Record) -> str:
    """Write the record as one line of JSON, its keys in a fixed order.

    Raises ``TypeError`` for a field that JSON does not have (bytes first of all), ``ValueError`` for NaN or
    infinity.
    """
    document = asdict(record) | {"fields": dict(record.fields)}
    return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
