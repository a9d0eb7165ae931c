"""What a client knows of the lab's emulated time, from what the server has said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from shared_state.conversation import Welcome
from shared_state.wire import Message

QUICK: Final = 2e-3
"""Wall seconds: an answer that took no longer tells the time well enough."""
READINGS: Final = 8
READ_WITHIN: Final = 1.0
"""So often the server is asked for the time at most, and for so many wall seconds."""


class HeardTime:
    """The emulated time of a ``welcome`` to what was said at ``said`` and heard at ``heard``, by this side's clock.

    The server has read its clock some time between question and answer; half-way is wrong by half of what both took,
    at most (Cristian, Distributed Computing 3, 1989, 146).
    """

    def __init__(self, welcome: Welcome, said: float, heard: float, monotonic: Callable[[], float]) -> None:
        self._goes_on = welcome.mode == "real-time"
        self._scale = welcome.scale
        self._monotonic = monotonic
        self._took = float("inf")
        self._take(welcome.now, said, heard)

    def now(self) -> float:
        """Return the lab's emulated time, as far as this side can tell: in virtual time, that of the welcome."""
        if not self._goes_on:
            return self._time
        return self._time + (self._monotonic() - self._at) * self._scale

    async def ask_again(self, ask: Callable[[], asyncio.Future[Message]]) -> None:
        """Ask for the time again while answers take long, for a second at most, and believe the quickest one."""
        until = self._monotonic() + READ_WITHIN
        for _ in range(READINGS if self._goes_on else 0):
            said = self._monotonic()
            if self._took <= QUICK or said >= until:
                return
            answer = ask()
            answer.add_done_callback(lambda late: late.cancelled() or late.exception())
            await asyncio.wait([answer], timeout=until - said)
            if not answer.done():
                return
            if isinstance(now := answer.result(), int | float):
                self._take(float(now), said, self._monotonic())

    def _take(self, time: float, said: float, heard: float) -> None:
        """Believe a time if no other one was told as quickly."""
        if heard - said < self._took:
            self._took, self._time, self._at = heard - said, time, (said + heard) / 2
