"""The processes of a lab as containers: one each, on two networks of the lab's own, seen and ended as processes are.

Each is told what it is over standard input, and ends with it: when the lab's supervisor is gone, however that came
about, the engine closes that stream, the containers end, and the engine removes them. No secret is in the image, in a
container's description, in its command or in its environment.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

from deploy.child import Child
from deploy.child_processes import ChildProcesses
from deploy.children import Part
from deploy.containers.attachment import relay
from deploy.containers.lab_engine import STOP_DEADLINE, LabEngine
from deploy.containers.parts import BROKER_PORT, STATE_PORT, Errand, errand_of, own_image
from deploy.errors import EngineUnusable
from deploy.launcher import Place

ResultT = TypeVar("ResultT")

_START_DEADLINE: Final = 30.0
_AT_ONCE: Final = 8
_TOLD_WITHIN: Final = 10.0
"""Seconds after the last word of a container in which the engine tells how it has ended."""


@dataclass(slots=True, kw_only=True)
class Container(Child):
    """A process of the lab in a container, whose ``identity`` the engine has given; ``former`` was that of the one
    before."""

    engine: LabEngine
    identity: str = ""
    former: str = ""
    input: StreamWriter | None = None
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def hang_up(self) -> None:
        """Let its standard input end, by which it ends; it may still have something to say."""
        if self.input is not None and not self.input.is_closing():
            with suppress(OSError):  # it has ended meanwhile
                self.input.write_eof()

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; tell whether the container was there to get it."""
        if self.ended.is_set() or not self.identity:
            return False
        return self.engine.kill(self.identity, number)


class Containers(ChildProcesses[Container]):
    """The containers of one lab, of ``image``. Use as an async context manager: leaving ends and removes them all.

    Entering raises ``EngineUnusable`` when there is no engine, or none that has the image.
    """

    broker = Place("0.0.0.0", BROKER_PORT, "broker")
    state = Place("0.0.0.0", STATE_PORT, "state")

    def __init__(self, lab: str, logs: Path, image: str = "") -> None:
        super().__init__()
        self._logs = logs
        self._engine = LabEngine(lab, logs.parent, image or own_image())
        self._workers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="engine")
        self._by_identity: dict[str, Container] = {}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._group = await asyncio.TaskGroup().__aenter__()
        try:
            await self._ask(partial(self._engine.prepare, self._hear_of_death))
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            try:
                await self.stop(*self.children)
            finally:
                await self._ask(self._engine.clear)
            await self._group.__aexit__(None, None, None)
        finally:
            self._workers.shutdown(wait=False)
            self._engine.close()

    def start(self, name: str, part: Part) -> Container:
        """Start a container; return at once."""
        former = self.children.get(name)
        child = Container(
            name=name,
            log=self._logs / f"{name}.log",
            restarts=self._restarts(name),
            engine=self._engine,
            former="" if former is None else former.identity,
        )
        self.children[name] = child
        self._group.create_task(self._live(child, errand_of(part)))
        return child

    def _start_deadline(self) -> float:
        return _START_DEADLINE

    async def _stop(self, child: Container) -> None:
        child.hang_up()
        if child.identity:
            with suppress(EngineUnusable):  # it has ended meanwhile
                await self._ask(partial(self._engine.stop, child.name, child.identity))
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * STOP_DEADLINE):
                await child.ended.wait()
        if not child.ended.is_set():  # what is left is removed with the lab's networks
            self._end(child, 128 + signal.SIGKILL)

    async def _live(self, child: Container, errand: Errand) -> None:
        """Be a container from its creation to its end."""
        try:
            made = await self._ask(
                partial(self._engine.create, child.name, errand, child.restarts, child.former)
            )
            child.identity = made.identity
            self._by_identity[made.identity] = child
            reader, child.input = await asyncio.open_connection(sock=made.streams)
            child.input.write(errand.document.encode() + b"\n")
            if child.name in self._stopping:
                raise EngineUnusable("it was stopped before it was started")
            begun = await self._ask(partial(self._engine.begin, child.name, made.identity, errand.port))
            child.pid, child.port = begun
            if child.name in self._stopping:
                child.hang_up()
            await self._hear(child, reader)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is the end of this container alone
            if child.input is not None:
                child.input.close()
            child.failure = str(error) or type(error).__name__
            child.heard.set()
            self._end(child, 125)

    async def _hear(self, child: Container, reader: StreamReader) -> None:
        """Keep its log until it ends; the first line of its standard output says that it is ready."""
        descriptor = os.open(child.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab", buffering=0) as log:
            await relay(reader, lambda line: child.ready.set(), log.write)
        child.heard.set()
        if child.input is not None:
            child.input.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_TOLD_WITHIN):
                await child.ended.wait()
        if not child.ended.is_set():
            child.failure = "it has ended, and its engine does not say how"
            self._end(child, 125)

    def _hear_of_death(self, identity: str, code: int) -> None:
        """Take in, from a thread of the engine's, that a container has ended."""
        self._loop.call_soon_threadsafe(self._note_death, identity, code)

    def _note_death(self, identity: str, code: int) -> None:
        child = self._by_identity.get(identity)
        if child is not None and not child.ended.is_set():
            self._group.create_task(self._note_end(child, code))

    async def _note_end(self, child: Container, code: int) -> None:
        await child.heard.wait()
        self._end(child, code)

    def _end(self, child: Container, code: int) -> None:
        if child.ended.is_set():
            return
        child.exitcode = code if code < 128 else 128 - code
        child.ended.set()
        self._by_identity.pop(child.identity, None)
        if child.name not in self._stopping:
            self._died.put_nowait(child)

    async def _ask(self, question: Callable[[], ResultT]) -> ResultT:
        """Ask the engine, which blocks, in a thread; it is asked a few questions at a time."""
        asked = self._loop.run_in_executor(self._workers, question)
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            await asyncio.wait([asked])  # what has begun is done, and can then be undone
            raise
