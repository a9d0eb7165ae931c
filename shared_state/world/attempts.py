"""Attempts at entanglement: each one disturbs what is stored beside it on the same node."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from math import floor
from typing import Final, NamedTuple, TypeAlias

REMEMBERED: Final = 256
"""So many windows are remembered per node and story; what older ones did to stored qubits is done at once."""
ROUNDING: Final = 1e-6
"""Attempts are told apart to this part of a cycle."""
MAX_STORIES: Final = 1024
"""So many stories are remembered per node; who stores a qubit in an older one has left it."""


def link_of(pair: str) -> str:
    """Return the link over which a pair has come; its id is the link, a slash, and a number."""
    return pair.rpartition("/")[0]


class Window(NamedTuple):
    """So many attempts, one every ``cycle`` seconds; the first begins at ``start``.

    They are made in ``run`` for ``pair``, which of several names the first.
    """

    start: float
    cycle: float
    attempts: int
    run: str = ""
    pair: str = ""

    @property
    def end(self) -> float:
        """Return when the last attempt is over."""
        return self.start + self.attempts * self.cycle

    def begun(self, time: float) -> int:
        """Return how many attempts have begun by ``time``, those that begin just then included."""
        return min(max(floor((time - self.start) / self.cycle + ROUNDING) + 1, 0), self.attempts)

    def between(self, since: float, until: float) -> int:
        """Return how many attempts began after ``since`` and up to ``until``: additive in time."""
        return max(self.begun(until) - self.begun(since), 0)


CatchUp: TypeAlias = Callable[[str, str, Window, bool], None]
"""Called with node, story, window and whether the window will be forgotten now."""


class Attempts:
    """The windows of attempts of every node, by what shares one course of time (``LabClock.story``).

    A window may lie in the future: a source knows at once when it will succeed. It may also become known late,
    for requests arrive in any order on the wall: ``catch_up`` is called for what is held by then.
    Only those ``nodes`` count that have a memory which attempts disturb.
    """

    def __init__(self, nodes: Iterable[str], story: Callable[[str], str], catch_up: CatchUp) -> None:
        self._nodes = frozenset(nodes)
        self._story = story
        self._catch_up = catch_up
        self._windows: dict[str, dict[str, deque[Window]]] = {}

    def record(self, node: str, run: str, start: float, cycle: float, count: int, pair: str = "") -> None:
        """Note ``count`` attempts of the node at a pair, one every ``cycle`` > 0 seconds from ``start`` on.

        A qubit is not touched by what began before it was stored or just then: the attempt that made it.
        """
        if node not in self._nodes:
            return
        story, window = self._story(run), Window(start, cycle, count, run, pair)
        stories = self._windows.setdefault(node, {})
        windows = stories.pop(story, None) or deque()
        stories[story] = windows  # the stories in the order of their last window
        if len(stories) > MAX_STORIES:
            del stories[next(iter(stories))]
        windows.append(window)
        self._catch_up(node, story, window, False)
        if len(windows) > REMEMBERED:
            self._catch_up(node, story, windows.popleft(), True)

    def stop(self, node: str, run: str, at: float, pair: str | None = None) -> None:
        """Let the node make no attempt of a run after ``at``, or none at one pair; what has been aged stays so."""
        windows = self._windows.get(node, {}).get(self._story(run), deque())
        for index, window in enumerate(windows):
            if window.run == run and pair in (None, window.pair):
                windows[index] = window._replace(attempts=window.begun(at))

    def interrupt(self, node: str, link: str, at: float) -> None:
        """Let the node make no attempt at a pair of the link after ``at``, in no story."""
        for windows in self._windows.get(node, {}).values():
            for index, window in enumerate(windows):
                if link_of(window.pair) == link:
                    windows[index] = window._replace(attempts=window.begun(at))

    def forget(self, node: str) -> None:
        """Forget all attempts of a node that has departed."""
        self._windows.pop(node, None)

    def count(self, node: str, run: str, since: float, until: float) -> int:
        """Return how many attempts of the node began after ``since`` and up to ``until``."""
        windows = self._windows.get(node, {}).get(self._story(run), ())
        return sum(window.between(since, until) for window in windows)
