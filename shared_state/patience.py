"""For how long a party may keep its turn in virtual time without a word: then nobody waits for it any more."""

from __future__ import annotations

from collections.abc import Callable

from shared_state.turns import Turns


class Patience:
    """Watches who has the turn, in wall seconds; ``monotonic`` returns them.

    What the holder asks for shows that it is at work, so only its silence counts. Nothing in virtual time depends on
    it but whether the lab goes on without somebody who has stopped.
    """

    def __init__(self, seconds: float, turns: Turns, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._turns = turns
        self._monotonic = monotonic
        self._watched: tuple[str | None, int] = (None, 0)
        self._since = 0.0

    def note(self) -> None:
        """Notice that the turn has gone to somebody."""
        watched = (self._turns.holder, self._turns.count)
        if watched != self._watched:
            self._watched, self._since = watched, self._monotonic()

    def heard(self, name: str) -> None:
        """Notice that a party has asked for something."""
        if name == self._watched[0]:
            self._since = self._monotonic()

    def look_at(self) -> float:
        """Return when to look whether it is exhausted: it cannot be before."""
        return self._seconds + (self._monotonic() if self._watched[0] is None else self._since)

    def exhausted(self) -> tuple[str, str] | None:
        """Return whose turn has lasted too long, and the story of that; None when nobody's has."""
        holder = self._watched[0]
        if holder is None or self._since + self._seconds > self._monotonic():
            return None
        return holder, (
            f"{holder} has kept its turn at {self._turns.now:.9g} s for {self._seconds:g} s of wall time without a "
            "word, and everybody waits for it: its session has ended, and everything it held was traced out."
        )
