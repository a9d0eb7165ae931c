"""The last events of a lab, in memory, for a server that has no file to write a record in.

Events are numbered from 0 in the order in which they have happened, so whoever asks for those after a number is told
exactly what was lost when it asks too late.
"""

from __future__ import annotations

from secrets import token_hex
from typing import Final

AT_ONCE: Final = 2**18
"""Bytes of events that are given at a time: a longer answer would keep the others waiting."""
OVERHEAD: Final = 64
"""Bytes that an event takes up besides its line, roughly."""


class RecentEvents:
    """The events of which there is room in ``most`` bytes; the oldest go first. ``lines`` counts all there have been.

    ``name`` tells them from those of a server before or after this one, which count from 0 as well.
    """

    def __init__(self, most: int) -> None:
        self.name = token_hex(4)
        self.lines = 0
        self._most = most
        self._kept: list[bytes] = []
        self._gone = 0
        self._size = 0

    @property
    def first(self) -> int:
        """Return the number of the oldest event that is kept."""
        return self.lines - (len(self._kept) - self._gone)

    def write(self, lines: list[str]) -> None:
        """Add events."""
        for line in lines:
            kept = f"{line}\n".encode()
            self._kept.append(kept)
            self._size += len(kept) + OVERHEAD
        self.lines += len(lines)
        while self._size > self._most:
            self._size -= len(self._kept[self._gone]) + OVERHEAD
            self._kept[self._gone] = b""
            self._gone += 1
        if self._gone > len(self._kept) // 2:
            del self._kept[: self._gone]
            self._gone = 0

    def since(self, number: int) -> tuple[int, bytes]:
        """Return events from ``number`` on, or from the oldest that is kept, as many as are given at a time.

        First the number of the first one, then a line for each. One that is longer than that comes alone.
        """
        first = min(max(number, self.first), self.lines)
        begin = end = first - self.lines + len(self._kept)
        size = 0
        while end < len(self._kept) and (size := size + len(self._kept[end])) <= AT_ONCE:
            end += 1
        return first, b"".join(self._kept[begin : max(end, begin + 1)])

    def close(self) -> None:
        """Forget them."""
        self._kept.clear()
        self._gone = self._size = 0
