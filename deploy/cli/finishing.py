"""A command's work: Ctrl-C and SIGTERM cancel it, and it cleans up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


def finish(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run it to its end; return its result."""

    async def cancellable() -> ResultT:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    return asyncio.run(cancellable())
