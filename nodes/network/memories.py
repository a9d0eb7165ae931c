"""Which of a node's memories are promised to circuits: admission, so that no circuit ever waits for a memory.

Every circuit has places of its own on each of its sides. Were memories taken as pairs come, a repeater could fill up
with pairs of its left link while all that it needs is one of its right link, and two circuits could each hold what
the other one waits for: both are deadlocks, and neither can happen here.
"""

from __future__ import annotations


class MemoryBudget:
    """The ``count`` memories of a node, shared by all circuits of all runs."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.promised = 0

    @property
    def free(self) -> int:
        """Return how many memories are promised to nobody."""
        return self.count - self.promised

    def admit(self, sides: int, least: int, window: int, batch: int) -> int:
        """Promise places for units of ``batch`` memories on each of a circuit's ``sides``; return how many per side.

        That is ``window``, as long as it is no more than half of what is free, so that others can come; at least
        ``least`` in any case. 0, and nothing is promised, where not even that is free.
        """
        if sides * least * batch > self.free:
            return 0
        places = max(least, min(window, self.free // (2 * sides * batch)))
        self.promised += sides * places * batch
        return places

    def lend(self, memories: int) -> bool:
        """Promise memories to a role that keeps what was delivered, if they are free."""
        if memories > self.free:
            return False
        self.promised += memories
        return True

    def release(self, memories: int) -> None:
        """Take a promise back. Raise ``ValueError`` for more than was promised."""
        if not 0 <= memories <= self.promised:
            raise ValueError(f"{memories} memories are given back, and {self.promised} were promised")
        self.promised -= memories
