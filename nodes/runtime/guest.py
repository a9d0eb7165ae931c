"""A program that acts by itself at a node whose time is virtual: it holds the lab's clock unless it waits for time.

The tasks of a role are followed from their creation (``nodes.runtime.ensemble``). Those of a program that connects are
there already, so only their waits are known: each goes through the node's clock. While one of them lasts, time may go
on; when none does, the program is taken to act, and this node keeps its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class _Wait:
    task: asyncio.Task[object]
    story: str
    timed: bool
    failure: Exception | None = None


class Guest:
    """The program that is the node ``name``. ``changed`` is called when it has begun to wait.

    ``reproached`` resolves with an error when it has kept the clock for too long.
    """

    def __init__(self, name: str, changed: Callable[[], None]) -> None:
        self._name = name
        self._changed = changed
        self._waits: list[_Wait] = []
        self._told: list[_Wait] = []
        self.reproached: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    @contextmanager
    def waiting(self, story: str, *, timed: bool) -> Iterator[None]:
        """Let one of its tasks wait for what emulated time brings: see ``Ensemble.waiting``."""
        task = asyncio.current_task()
        assert task is not None
        wait, cancelled = _Wait(task, story, timed), task.cancelling()
        self._waits.append(wait)
        self._changed()
        try:
            yield
        except asyncio.CancelledError:
            # somebody else's cancellation comes first
            if wait.failure is None or task.uncancel() > cancelled:
                raise
            raise wait.failure from None
        finally:
            self._waits.remove(wait)

    def stories(self) -> list[str]:
        """Return what it waits for that somebody else has to bring about; ``fail`` is for these."""
        self._told = [wait for wait in self._waits if not wait.timed]
        return [wait.story for wait in self._told]

    def fail(self, error: Exception) -> None:
        """Raise an error in all tasks that wait so, as told by ``stories``."""
        for wait in self._told:
            if wait in self._waits and wait.failure is None:
                wait.failure = error
                wait.task.cancel()

    def held_by(self) -> str:
        """Say who holds the clock; empty when nobody does."""
        return "" if self._waits else f"the program that is '{self._name}'"

    def fail_held(self, error: Callable[[str], Exception]) -> None:
        """Hear that it has kept the clock for too long."""
        if not self._waits and not self.reproached.done():
            self.reproached.set_result(error(self.held_by()))
