"""How long the next trains are, by a rule that both ends follow alike without a word."""

from __future__ import annotations

from collections import deque
from typing import Final

CLICKS: Final = 2**17
"""What a train should bring: with fewer the messages are many, with more they are long."""
FIRST: Final = 1e-3
LONGEST: Final = 5.0
"""Seconds of light in the first trains, and in any: each takes three tags, which slow links pay for with their key."""
STRIDE: Final = 8
"""So many times as long as the one before it a train is at most: clicks may be few by accident."""
MOST_UNDER_WAY: Final = 8


class TrainLengths:
    """The lengths of the trains to come, in pulses, given the clicks of those that were.

    ``pulse_rate`` is the transmitter's. Trains are ordered until ``ahead`` seconds of light are under way, but eight at
    most; with 0 a train is ordered when the clicks of the one before it are known. With ``pulses`` there are so many.
    """

    def __init__(self, pulse_rate: float, ahead: float = 0.0, pulses: int = 0) -> None:
        self._next = self._bounded(FIRST * pulse_rate, pulse_rate)
        self._pulse_rate = pulse_rate
        self._ahead = ahead * pulse_rate
        self._left = pulses or None
        self._under_way: deque[int] = deque()

    @property
    def all_passed(self) -> bool:
        """Tell whether all pulses were ordered that there shall be, and their clicks are known."""
        return self._left == 0 and not self._under_way

    def order(self) -> list[int]:
        """Return the lengths of the trains that are to be ordered now."""
        ordered = []
        while self._left != 0 and self._is_due():
            length = self._next if self._left is None else min(self._next, self._left)
            if self._left is not None:
                self._left -= length
            self._under_way.append(length)
            ordered.append(length)
        return ordered

    def passed(self, clicks: int) -> None:
        """Note how many clicks the train has brought that was ordered first."""
        length = self._under_way.popleft()
        wanted = length * CLICKS // max(clicks, 1)
        self._next = self._bounded(min(wanted, STRIDE * length), self._pulse_rate)

    def _is_due(self) -> bool:
        under_way = len(self._under_way)
        return not under_way or (under_way < MOST_UNDER_WAY and sum(self._under_way) < self._ahead)

    @staticmethod
    def _bounded(length: float, pulse_rate: float) -> int:
        return max(1, int(min(length, LONGEST * pulse_rate, 2**32)))
