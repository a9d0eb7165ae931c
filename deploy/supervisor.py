"""Starts the processes of a lab, learns when they are ready and when they die, and ends them.

Children are forked from one server process that has imported everything once, so that a node costs milliseconds and
megabytes. No wait here is a sleep: readiness and death are events on a pipe and on the process itself.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from deploy.children import Part, main
from deploy.errors import ProcessDied
from deploy.logbook import last_lines

_START_DEADLINE = 20.0
_STOP_DEADLINE = 5.0
_LAST_LINES = 12


@dataclass(slots=True)
class Child:
    """One process of the lab. ``port`` is where it listens, 0 where it does not.

    ``restarts`` counts the processes of this name that have died before it and were replaced.
    """

    name: str
    pid: int
    process: ForkServerProcess
    pipe: Connection
    log: Path
    port: int = 0
    restarts: int = 0
    failure: str = ""
    exitcode: int | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def died(self) -> ProcessDied:
        """Return the error that tells how this process ended."""
        return ProcessDied(self.name, self.how(), last_lines(self.log, _LAST_LINES))

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; tell whether the process was there to get it."""
        if self.ended.is_set():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:  # its end is news that has not been read yet
            return False
        return True

    def how(self) -> str:
        """Say how this process ended."""
        if self.failure:
            return f"failed: {self.failure}"
        code = self.exitcode
        return (
            f"was ended by signal {-code}"
            if code is not None and code < 0
            else f"ended with exit code {code}"
        )


class Supervisor:
    """The processes of one lab. Use as an async context manager: leaving ends them all, and waits until they have."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["deploy.children"])
        self.children: dict[str, Child] = {}
        self._died: asyncio.Queue[Child] = asyncio.Queue()
        self._stopping: set[str] = set()

    async def __aenter__(self) -> Supervisor:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop(*reversed(self.children))

    def start(self, name: str, part: Part) -> Child:
        """Start a process; return at once."""
        mine, its = self._context.Pipe()
        log = self._logs / f"{name}.log"
        process = self._context.Process(
            target=main, args=(part, its, log), name=f"bellwire {name}", daemon=True
        )
        os.environ.setdefault(
            "OPENBLAS_NUM_THREADS", "1"
        )  # threads of a linear algebra library only get in the way
        process.start()
        its.close()
        assert process.pid is not None
        former = self.children.get(name)
        restarts = 0 if former is None else former.restarts + 1
        child = Child(name, process.pid, process, mine, log, restarts=restarts)
        self.children[name] = child
        loop = asyncio.get_running_loop()
        loop.add_reader(mine.fileno(), self._hear, child)
        loop.add_reader(process.sentinel, self._bury, child)
        return child

    async def started(self, *children: Child, within: float | None = None) -> None:
        """Wait until all are ready; raise ``ProcessDied`` for one that ends first or is not ``within`` so many s."""
        deadline = _START_DEADLINE if within is None else within
        for child in children:
            waits = [asyncio.ensure_future(event.wait()) for event in (child.ready, child.ended)]
            try:
                done, _ = await asyncio.wait(waits, timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            if not done:
                child.failure = f"was not ready within {deadline:g} s"
            if not child.ready.is_set():
                raise child.died()

    async def watch(self) -> None:
        """Wait until a process ends that was not stopped; raise ``ProcessDied``."""
        raise (await self._died.get()).died()

    def dead(self) -> list[Child]:
        """Return the processes that have ended without having been stopped."""
        return [c for c in self.children.values() if c.ended.is_set() and c.name not in self._stopping]

    async def stop(self, *names: str) -> None:
        """End processes one after the other: ask, wait, and kill what does not answer."""
        self._stopping.update(names)
        for name in names:
            child = self.children[name]
            if child.ended.is_set():
                continue
            child.process.terminate()
            child.signal(signal.SIGCONT)  # one that was stopped would not hear of it
            try:
                async with asyncio.timeout(_STOP_DEADLINE):
                    await child.ended.wait()
            except TimeoutError:
                child.process.kill()
                await child.ended.wait()

    def _hear(self, child: Child) -> None:
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

    def _bury(self, child: Child) -> None:
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

    def _hang_up(self, child: Child) -> None:
        if not child.pipe.closed:
            asyncio.get_running_loop().remove_reader(child.pipe.fileno())
            child.pipe.close()
