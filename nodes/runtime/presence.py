"""Which parties of the lab have gone, from what they, the broker or the launcher announce."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Presence:
    """Knows who has gone; ``went`` is called for each.

    A party that says ``left`` has gone at once. One whose connection broke (``lost``, its last will) has gone when it
    is not back after ``grace`` wall seconds, for a bus connects again by itself.
    """

    def __init__(self, went: Callable[[str], None], grace: float) -> None:
        self._went = went
        self._grace = grace
        self._gone: set[str] = set()
        self._missed: dict[str, asyncio.TimerHandle] = {}

    def note(self, party: str, state: str) -> None:
        """Note a party's state: ready, left or lost."""
        if (timer := self._missed.pop(party, None)) is not None:
            timer.cancel()
        if state == "ready":
            self._gone.discard(party)
        elif state == "lost" and party not in self._gone:
            loop = asyncio.get_running_loop()
            self._missed[party] = loop.call_later(self._grace, self.note, party, "left")
        else:
            self._gone.add(party)
            self._went(party)

    def gone(self, party: str) -> bool:
        """Tell whether a party has gone."""
        return party in self._gone

    def close(self) -> None:
        """Wait for nobody any more."""
        for timer in self._missed.values():
            timer.cancel()
        self._missed.clear()
