"""How long who guesses waits for a refusal: the longer, the oftener the same address has been wrong."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

SHORTEST: Final = 0.5
LONGEST: Final = 8.0
"""Wall seconds: a joiner who was wrong before is still answered within its own patience."""
_REMEMBERED: Final = 1024
"""Addresses; those that were wrong least lately are forgotten."""


class Reluctance:
    """Counts wrong attempts by address."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, int] = OrderedDict()

    def wrong(self, address: str) -> float:
        """Note a wrong attempt; return for how many wall seconds its answer is held back."""
        count = self._wrong[address] = self._wrong.get(address, 0) + 1
        self._wrong.move_to_end(address)
        if len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)
        return min(LONGEST, SHORTEST * 2.0 ** (min(count, 16) - 1))

    def right(self, address: str) -> None:
        """Forget what was wrong before."""
        self._wrong.pop(address, None)
