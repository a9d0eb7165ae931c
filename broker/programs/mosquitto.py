"""The mosquitto broker as a child process, with the lab's own hardened configuration."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from broker.errors import PortTaken, ProgramFailed, ProgramMissing
from broker.programs.mosquitto_config import write_files
from broker.programs.program import BrokerConfig

_START = 10.0
_STOP = 5.0
_ATTEMPTS = 5
_LOG_LINES = 20
_SET_PARENT_DEATH_SIGNAL = 1


class MosquittoBroker:
    """A lab's mosquitto. Use as an async context manager: entered, it accepts connections; left, it is gone.

    It runs as the current user and, on Linux, is killed with this process. ``log`` receives its log lines.
    Sessions and retained messages of an earlier run in the same directory come back, so a new lab takes a
    new directory. Entering raises ``PortTaken``, ``ProgramMissing`` or ``ProgramFailed``.
    """

    program = "mosquitto"

    def __init__(
        self, config: BrokerConfig, executable: str = "mosquitto", *, log: Callable[[str], None] | None = None
    ) -> None:
        self._config, self._executable, self._log = config, executable, log
        self._port = config.port
        self._last_lines: deque[str] = deque(maxlen=_LOG_LINES)

    @property
    def host(self) -> str:
        """Return the address on which it listens."""
        return self._config.host

    @property
    def port(self) -> int:
        """Return the port on which it listens."""
        return self._port

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        return self._process.pid

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        try:
            await self._start_on_a_free_port()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stop()

    async def watch(self) -> None:
        """Wait for ever; raise ``ProgramFailed`` with its last log lines when mosquitto ends by itself."""
        await self._ended.wait()
        raise ProgramFailed(f"mosquitto on port {self._port} has ended. {self._story()}")

    async def _start_on_a_free_port(self) -> None:
        for _ in range(_ATTEMPTS):
            self._port = self._config.port or _free_port(self.host)
            await self._start()
            if not self._ended.is_set():
                return
            if not any("Address already in use" in line for line in self._last_lines):
                raise ProgramFailed(f"mosquitto did not start on {self.host}:{self._port}. {self._story()}")
            if self._config.port:
                break
        raise PortTaken(
            f"mosquitto cannot listen on {self.host}:{self._port}: another program does. "
            "Choose another port, or 0 for a free one."
        )

    async def _start(self) -> None:
        """Start the process; return when it accepts connections or has ended."""
        self._last_lines.clear()
        self._settled, self._ended = asyncio.Event(), asyncio.Event()
        configuration = write_files(self._config, self._port)
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._executable,
                "-c",
                str(configuration),
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=PIPE,
                preexec_fn=_die_with_parent() if sys.platform == "linux" else None,
            )
        except FileNotFoundError as error:
            raise ProgramMissing(
                f"There is no program {self._executable!r}: install mosquitto, or use the embedded broker."
            ) from error
        self._group.create_task(self._follow(self._process))
        try:
            async with asyncio.timeout(_START):
                await self._settled.wait()
        except TimeoutError as error:
            raise ProgramFailed(f"mosquitto is not ready after {_START} s. {self._story()}") from error

    async def _follow(self, process: Process) -> None:
        """Relay the log. Mosquitto says that it runs once all its sockets listen."""
        assert process.stderr is not None
        async for line in process.stderr:
            text = line.decode(errors="replace").rstrip()
            self._last_lines.append(text)
            if self._log is not None:
                self._log(text)
            if text.endswith(" running"):
                self._settled.set()
        await process.wait()
        self._ended.set()
        self._settled.set()

    async def _stop(self) -> None:
        process: Process | None = getattr(self, "_process", None)
        if process is not None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(_STOP):
                    await process.wait()
            except TimeoutError:
                process.kill()
        await self._group.__aexit__(None, None, None)

    def _story(self) -> str:
        return "Its last log lines:\n" + "\n".join(self._last_lines)


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> Callable[[], None]:
    """Return what the child calls between fork and exec; prepared here, for there it may not import."""
    libc, parent = ctypes.CDLL(None), os.getpid()

    def arrange() -> None:
        # not SIGTERM: mosquitto 2.0 forgets one that comes between its line that it runs and its loop
        libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the arrangement
            os._exit(1)

    return arrange
