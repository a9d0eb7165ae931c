"""When an event loop has come to rest."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context


class Calm:
    """Tells when everything in an event loop that can happen by itself has happened: nothing is ready to run.

    asyncio keeps what is ready in ``_ready`` and has no other way to ask. Each loop has one ``Calm``; callbacks are
    called one at a time, each in a calm of its own.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        if not hasattr(loop, "_ready"):
            raise RuntimeError(f"virtual time needs asyncio's own event loop, not {type(loop).__name__}")
        self._loop = loop
        self._ready: deque[object] = loop._ready
        self._waiting: deque[Callable[[], None]] = deque()
        self._context = copy_context()
        self._looking = False

    def then(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the loop is calm."""
        self._waiting.append(callback)
        self._look_later()

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._look, context=self._context)

    def _look(self) -> None:
        self._looking = False
        if not self._ready:
            self._waiting.popleft()()
        if self._waiting:
            self._look_later()
