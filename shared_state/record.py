"""The record of a lab's events: one line of JSON each, in the order in which they happened.

A line begins with ``at`` (emulated seconds, as Python writes them), ``node``, ``session`` (the run, and the round where
it is known) and ``event``; the event's own fields follow, always in the same order. So the same events are the same
bytes.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from shared_state.engine.later import Later

T = TypeVar("T")

Details = Mapping[str, Any]
"""What belongs to an event: what JSON can write, by name."""

_DIGEST: Final = 16


class Event(NamedTuple):
    """What is told of something, but for its time and node: its session, its name, and what belongs to it."""

    session: str
    name: str
    details: Details


class Record:
    """The events so far. ``count`` counts them all; those that were not taken are kept.

    Nothing is written while it is not ``on``, and ``failure`` says why it had to be switched off. An event of which
    something is known later keeps its place: what comes after it is not taken before it is known.
    """

    def __init__(self) -> None:
        self.on = False
        self.failure = ""
        self.count = 0
        self._lines: deque[list[str]] = deque()

    def tell(self, at: float, node: str, session: str, event: str, details: Details) -> None:
        """Write an event down."""
        self._place().append(line_of(at, node, session, event, details))

    def tell_later(
        self,
        at: float,
        node: str,
        session: str,
        event: str,
        details: Later[T],
        describe: Callable[[T], Details],
    ) -> None:
        """Write an event down when its details are known, in the place that it has now."""
        place = self._place()
        details.when_known(lambda known: place.append(line_of(at, node, session, event, describe(known))))

    @property
    def untaken(self) -> int:
        """Return how many events were not taken yet."""
        return len(self._lines)

    def take(self) -> list[str]:
        """Return what was not taken yet, up to an event that is not known yet, and forget it."""
        taken = []
        while self._lines and self._lines[0]:
            taken += self._lines.popleft()
        return taken

    def _place(self) -> list[str]:
        self.count += 1
        place: list[str] = []
        self._lines.append(place)
        return place


def line_of(at: float, node: str, session: str, event: str, details: Details) -> str:
    """Write one event, without the end of the line."""
    whole = {"at": float(at), "node": node, "session": session, "event": event, **details}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def digest(*arrays: NDArray[Any]) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the arrays' bytes, one after the other."""
    sum_of_all = sha256()
    for array in arrays:
        sum_of_all.update(np.ascontiguousarray(array).tobytes())
    return sum_of_all.hexdigest()[:_DIGEST]
