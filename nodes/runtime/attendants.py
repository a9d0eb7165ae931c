"""Coroutines that work beside a block and end with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

Attend = Callable[[Coroutine[Any, Any, None]], None]


@asynccontextmanager
async def attendants() -> AsyncIterator[Attend]:
    """Give the block a function that starts a coroutine beside it; cancel what still runs at the end.

    An error in one of them cancels the block and is raised in an exception group; one in the block is raised as it is.
    """
    failure: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []
            try:
                yield lambda work: tasks.append(group.create_task(work))
            except Exception as error:  # noqa: BLE001 - raised again below, outside of the group that would wrap it
                failure = error
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as attendants_failure:
        raise attendants_failure from failure
    if failure is not None:
        raise failure
