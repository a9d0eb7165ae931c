"""What ends a lab: the first error of work that it cannot do without, which all that wait for the lab then raise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from broker.errors import BrokerError
from deploy.errors import DeployError
from nodes.runtime.causes import root_cause
from shared_state.errors import SharedStateError

ResultT = TypeVar("ResultT")


class Trouble:
    """The first such error, once there is one. ``abandon`` is called with every one of them."""

    def __init__(self, abandon: Callable[[], None]) -> None:
        self._abandon = abandon
        self._first: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def noting(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do work that the lab cannot do without."""
        try:
            await work()
        except (BaseExceptionGroup, BrokerError, SharedStateError, DeployError) as error:
            self._abandon()
            if not self._first.done():
                self._first.set_result(root_cause(error))

    async def come(self) -> BaseException:
        """Wait for trouble; return the error."""
        return await asyncio.shield(self._first)

    async def unless(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do the work; when the lab fails first, cancel it and raise why."""
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(work)
                either: list[asyncio.Future[Any]] = [task, self._first]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not task.done():
                    task.cancel()
        except BaseExceptionGroup as group_error:
            error = root_cause(group_error)
            raise (self._first.result() if self._first.done() else error) from error
        if task.cancelled():
            raise self._first.result()
        return task.result()
