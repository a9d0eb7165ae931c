"""What the lab hears of the keys that a role says it has made or refused, beside the role's own report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass

from nodes.qkd.report import QkdReport
from shared_state.wire import Message

Note = Callable[[str, dict[str, Message]], None]
"""Takes the name of an event for the lab's record and its details."""
Alarm = Callable[[QkdReport], None]
"""Hears of a block that was refused because of its errors."""


def tell_of_keys(returned: object, note: Note, alarm: Alarm) -> None:
    """Tell of each block whose report a role has returned, by itself or as a field of something else."""
    for report in _reports(returned):
        note(
            "key.refused" if report.aborted else "key.made",
            {"secret_bits": report.secret_bits, "qber": report.qber},
        )
        if report.alarm:
            note("key.alarm", {"qber": report.qber})
            alarm(report)


def _reports(returned: object) -> Iterator[QkdReport]:
    inside = [getattr(returned, each.name) for each in fields(returned)] if is_dataclass(returned) else []
    return (each for each in [returned, *inside] if isinstance(each, QkdReport))
