"""The events of a lab whose servers others start, passed on to its operator as they come.

They are numbered from 0, and whoever was cut off goes on from where it was. What is no longer kept is skipped: the
number of the event that comes next says how many are missing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from deploy.errors import NotFound
from shared_state.oracle import Passage, Told


class Source(Protocol):
    """Who has the events: a ``Laboratory``."""

    async def told(self) -> Told:
        """Return how many there have been. Raise ``NotFound`` where none are kept for who asks."""

    async def events(self, after: int) -> Passage:
        """Wait for those from number ``after`` on; return the next ones."""


async def stream(source: Source, record: str, after: int, until: int | None) -> AsyncGenerator[Passage, None]:
    """Yield the events of ``record`` from number ``after`` on, up to number ``until``, or for ever where it is None.

    Raise ``NotFound`` when another server counts by now.
    """
    if (await source.told()).record != record:
        raise NotFound("the shared-state server was started anew, and what it told before went with it")
    while until is None or after < until:
        passage = await source.events(after)
        yield passage if until is None else Passage(passage.first, passage.lines[: until - passage.first])
        after = passage.end


def keeps_none(lab: str) -> NotFound:
    """Return the error for who asks for the events of a lab that keeps no record."""
    return NotFound(f"lab '{lab}' keeps no record: 'record: off' stands in its file")
