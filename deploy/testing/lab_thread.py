"""A thread with an event loop of its own, on which a lab lives.

So the lab goes on while a test waits for a program that knows no asyncio, outlives the event loops of the tests that
share it, and can be used from any of them, and from none: ``asyncio.run(lab.run("teleport"))``.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from contextlib import AbstractAsyncContextManager
from threading import Thread
from typing import Any, Final, Generic, TypeVar

from deploy.errors import DeployError, LabFailed

T = TypeVar("T")
ResultT = TypeVar("ResultT")

_WITHIN: Final = 60.0
"""Wall seconds for whatever a test, or its end, waits for without an event loop."""


class LabThread(Generic[T]):
    """Keeps ``manager`` entered from ``open`` to ``close``, and does what is asked of it meanwhile."""

    def __init__(self, manager: AbstractAsyncContextManager[T]) -> None:
        self._manager = manager
        self._loop: AbstractEventLoop = asyncio.new_event_loop()
        # A daemon: the processes of a lab end by themselves when this one does, and nothing is to keep it from that.
        self._thread = Thread(target=self._loop.run_forever, name="bellwire lab", daemon=True)
        self._left = asyncio.Event()
        self._entered: Future[T] = Future()
        self._life: Future[None]
        self._doing: dict[asyncio.Task[Any], str] = {}
        self.failures: list[str] = []
        """What has failed of what was to be done, in words: a test may not have looked yet."""

    def open(self) -> T:
        """Enter the manager; raise what it raises. When interrupted, leave nothing behind."""
        self._thread.start()
        self._life = asyncio.run_coroutine_threadsafe(self._live(), self._loop)
        try:
            return self._entered.result()
        except BaseException:
            self._life.cancel()
            self.close()
            raise

    async def do(self, what: str, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do some work where the lab lives, and wait for it from any other event loop; ``what`` it is, in words.

        An error of the laboratory's comes without the story of how it came about in there.
        """
        __tracebackhide__ = True
        try:
            return await asyncio.wrap_future(self._begin(self._noted(what, work)))
        except DeployError as error:
            raise error.with_traceback(None) from None

    def wait_for(self, work: Coroutine[Any, Any, ResultT], what: str = "the work") -> ResultT:
        """Do some work where the lab lives, and wait for it without an event loop.

        Raise ``LabFailed`` when ``what`` it is takes too long, with what is being done besides.
        """
        future = self._begin(work)
        try:
            wait([future], _WITHIN)
            if not future.done():
                raise self._late(what)
            return future.result()
        finally:
            future.cancel()

    def unfinished(self) -> list[str]:
        """Return what is being done and was not cancelled, in words."""
        return self.wait_for(self._unfinished(), "a look at what is being done")

    def call_off(self) -> None:
        """Cancel what is being done; return when it has cleaned up."""
        self.wait_for(self._call_off(), "calling off what is being done")

    def close(self) -> None:
        """Call off what is being done, leave the manager and end the thread; raise what leaving raises.

        Raise ``LabFailed`` when one of these takes too long.
        """
        try:
            self.call_off()
            self._loop.call_soon_threadsafe(self._left.set)
            wait([self._life], _WITHIN)
            if not self._life.done():
                raise self._late("taking the lab down")
            self.wait_for(self._rest(), "cleaning up")
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_WITHIN)
            if not self._thread.is_alive():
                self._loop.close()
        if not self._life.cancelled():
            self._life.result()

    def _late(self, what: str) -> LabFailed:
        doing = ", ".join(map(repr, self._doing.values())) or "nothing else"
        return LabFailed(f"{what} has not ended within {_WITHIN:g} s; still being done: {doing}")

    def _begin(self, work: Coroutine[Any, Any, ResultT]) -> Future[ResultT]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _noted(self, what: str, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        task = asyncio.current_task()
        assert task is not None
        self._doing[task] = what
        try:
            return await work
        except Exception as error:
            self.failures.append(f"'{what}' failed: {error}")
            raise
        finally:
            del self._doing[task]

    async def _live(self) -> None:
        try:
            async with self._manager as value:
                self._entered.set_result(value)
                await self._left.wait()
        except BaseException as error:
            if self._entered.done():
                raise
            self._entered.set_exception(error)

    async def _unfinished(self) -> list[str]:
        return [what for task, what in self._doing.items() if not task.cancelling()]

    async def _call_off(self) -> None:
        tasks = list(self._doing)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _rest(self) -> None:
        """Wait for a lab that was interrupted while it came up, and cleans up."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
