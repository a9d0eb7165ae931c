"""Starts the processes of a lab, learns when they are ready and when they die, and ends them.

Children are forked from one server process that has imported everything once, so that a node costs milliseconds and
megabytes. No wait here is a sleep: readiness and death are events on a pipe and on the process itself.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Self

from deploy.child import Child
from deploy.child_processes import ChildProcesses
from deploy.children import Part, main
from deploy.launcher import Place
from deploy.main_module import without_main

_LOADED_ONCE = ("deploy.children", "deploy.serving", "networkx")
"""What children are made of: shared by all."""
_START_DEADLINE = 20.0
_STOP_DEADLINE = 5.0
_LOOPBACK = Place()


@dataclass(slots=True, kw_only=True)
class ForkedChild(Child):
    """A process of the lab on this host, and the pipe over which it tells of itself."""

    process: ForkServerProcess
    pipe: Connection


class Supervisor(ChildProcesses[ForkedChild]):
    """The processes of one lab. Use as an async context manager: leaving ends them all, and waits until they have.

    ``besides``: modules that children of this lab load, and others do not, to be shared by them, too.
    """

    def __init__(
        self, logs: Path, broker: Place = _LOOPBACK, state: Place = _LOOPBACK, besides: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.broker, self.state = broker, state
        self._logs = logs
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*_LOADED_ONCE, *besides])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop(*self.children)

    def start(self, name: str, part: Part) -> ForkedChild:
        """Start a process; return at once."""
        mine, its = self._context.Pipe()
        log = self._logs / f"{name}.log"
        process = self._context.Process(
            target=main, args=(part, its, log), name=f"bellwire {name}", daemon=True
        )
        os.environ.setdefault(
            "OPENBLAS_NUM_THREADS", "1"
        )  # threads of a linear algebra library only get in the way
        with without_main():
            process.start()
        its.close()
        assert process.pid is not None
        child = ForkedChild(
            name=name, pid=process.pid, process=process, pipe=mine, log=log, restarts=self._restarts(name)
        )
        self.children[name] = child
        loop = asyncio.get_running_loop()
        loop.add_reader(mine.fileno(), self._hear, child)
        loop.add_reader(process.sentinel, self._bury, child)
        return child

    def _start_deadline(self) -> float:
        return _START_DEADLINE

    async def _stop(self, child: ForkedChild) -> None:
        if child.ended.is_set():
            return
        child.process.terminate()
        child.signal(signal.SIGCONT)  # one that was stopped would not hear of it
        try:
            async with asyncio.timeout(_STOP_DEADLINE):
                await child.ended.wait()
        except TimeoutError:
            child.process.kill()
            await child.ended.wait()

    def _hear(self, child: ForkedChild) -> None:
        try:
            message: Any = child.pipe.recv()
        except (EOFError, OSError):
            self._hang_up(child)
            return
        match message:
            case ("ready", int(port)):
                child.port = port
                child.ready.set()
            case ("failed", str(cause), str(text)):
                child.failure = text or cause

    def _bury(self, child: ForkedChild) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(child.process.sentinel)
        with suppress(OSError):
            while child.pipe.poll():
                self._hear(child)
        self._hang_up(child)
        child.process.join()
        child.exitcode = child.process.exitcode
        child.process.close()
        child.ended.set()
        if child.name not in self._stopping:
            self._died.put_nowait(child)

    def _hang_up(self, child: ForkedChild) -> None:
        if not child.pipe.closed:
            asyncio.get_running_loop().remove_reader(child.pipe.fileno())
            child.pipe.close()
