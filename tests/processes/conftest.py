"""What the tests on real processes share: the command in a process of its own, labs in this one, and their traces.

Every process that a command starts inherits its ``BELLWIRE_HOME``, which no two tests share: by it the tests find what
is left of a lab, whoever its parent is by now.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from broker.programs.choose import find_mosquitto
from deploy.laboratory import Laboratory
from deploy.plan import Plan, plan
from deploy.topology import find, load

Lab = Callable[..., AbstractAsyncContextManager[Laboratory]]
Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
Program = Callable[..., str]

_COMMAND = (sys.executable, "-m", "deploy")
_PATIENCE = 60.0
_END_DEADLINE = 20.0


HOMES = f"bw-{os.getpid()}-"
"""How the directories begin in which the labs of these tests live; those of another process are somebody else's."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended and what it has said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Return the one JSON document on stdout; fail when there is anything else, or an error."""
        assert self.code == 0, self.err
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


class Bellwire:
    """The command ``bellwire`` as a user has it, in a home and a working directory of its own."""

    def __init__(self, home: Path, work: Path, command: Sequence[str] = _COMMAND) -> None:
        self.home, self.work, self.command = home, work, tuple(command)
        self._environment = os.environ | {"BELLWIRE_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200"}
        self._started: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: object) -> Finished:
        """Run a command to its end."""
        return self.on((), *arguments)

    def on(self, host: Sequence[str], *arguments: object) -> Finished:
        """Run a command to its end, by a command that runs others: on another host, say."""
        done = subprocess.run(
            [*host, *self.command, *map(str, arguments)],
            cwd=self.work,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        """Start a command as the foreground job of a terminal: the leader of a process group."""
        process = subprocess.Popen(
            [*self.command, *map(str, arguments)],
            cwd=self.work,
            env=self._environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def wait_until_up(self, process: subprocess.Popen[str]) -> None:
        """Wait until a lab that was started in the foreground says that it is up."""
        assert process.stderr is not None
        said = ""
        while "is up." not in said:
            line = process.stderr.readline()
            assert line, f"the lab did not come up: {said}"
            said += line

    def wait_for(self, holds: Callable[[], bool], within: float = _END_DEADLINE) -> None:
        """Wait until something holds of which no event tells; fail when it does not ``within`` so many seconds."""
        deadline, pause = time.monotonic() + within, threading.Event()
        while not holds():
            assert time.monotonic() < deadline, "what was waited for has not come about"
            pause.wait(0.02)

    def processes(self) -> list[int]:
        """List all processes that live in this home."""
        mark = f"BELLWIRE_HOME={self.home}".encode()
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if mark in _environment(pid)]

    def left_over(self) -> list[str]:
        """List what is in this home, but for the registry's own lock and its empty folders."""
        own = {self.home / name for name in ("lock", "labs", "runs")}
        return sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*") if path not in own)

    def clear(self) -> None:
        """End whatever still lives here, after a test that failed."""
        for process in self._started:
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                stream.close()
            if process.poll() is None:
                process.kill()
            process.wait()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.home)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []  # it has ended, or is another user's


@pytest.fixture
def bellwire(tmp_path: Path) -> Iterator[Bellwire]:
    """The command; at the end no process and no file of a lab may be left."""
    # The path of a Unix socket has room for about a hundred bytes: pytest's own directories are too deep for it.
    command = Bellwire(Path(tempfile.mkdtemp(prefix=HOMES)), tmp_path)
    try:
        yield command
        wait_for_ends(command.processes())
        assert command.left_over() == []
    finally:
        command.clear()


@pytest.fixture
def ends() -> Callable[[Sequence[int]], None]:
    """Wait until processes have ended, whoever their parent is."""
    return wait_for_ends


def wait_for_ends(pids: Sequence[int]) -> None:
    """Wait until all processes have ended; fail when one lives on."""
    deadline = time.monotonic() + _END_DEADLINE
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended = select.poll()
            ended.register(descriptor, select.POLLIN)
            assert ended.poll(max(0.0, deadline - time.monotonic()) * 1000), f"process {pid} lives on"
        finally:
            os.close(descriptor)


MOSQUITTO = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed"),
]


@pytest.fixture(params=["embedded", pytest.param("mosquitto", marks=MOSQUITTO)])
def broker(request: pytest.FixtureRequest) -> str:
    """Each broker program in turn."""
    return str(request.param)


@pytest.fixture
def lab_on(tmp_path: Path) -> Callable[[str], str]:
    """Write the lab file of alice-bob for a broker, and return its path."""

    def write(broker: str) -> str:
        file = tmp_path / "pair.yaml"
        links = "links:\n  - {endpoints: [alice, bob], length: 20 km}\n"
        file.write_text(f"name: pair\nruntime: {{broker: '{broker}'}}\nnodes: {{alice: , bob: }}\n{links}")
        return str(file)

    return write


@pytest.fixture
def planned() -> Callable[..., Plan]:
    """Plan a lab, by its name or file, on a broker."""

    def make(lab: str | Path, broker: str = "embedded") -> Plan:
        return replace(plan(load(find(str(lab))), default_mode="virtual"), broker=broker)

    return make


@pytest.fixture
def lab(planned: Callable[..., Plan], tmp_path: Path) -> Lab:
    """Bring a lab up in this process, by its name, file or plan; at the end none of its processes is left."""

    @asynccontextmanager
    async def make(which: str | Path | Plan, broker: str = "embedded") -> AsyncIterator[Laboratory]:
        directory = Path(tempfile.mkdtemp(prefix="lab-", dir=tmp_path))
        laboratory = Laboratory(which if isinstance(which, Plan) else planned(which, broker), directory)
        try:
            async with laboratory:
                yield laboratory
        finally:
            wait_for_ends([child.pid for child in laboratory.premises.children.values()])

    return make


@pytest.fixture
def eventually() -> Eventually:
    """Wait until something holds of which no event tells; fail when it does not within ten seconds."""

    async def wait(holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await holds():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Write a program of one's own; return its path."""

    def write(text: str, name: str = "mine") -> str:
        file = tmp_path / f"{name}.py"
        file.write_text("from __future__ import annotations\n" + text)
        return str(file)

    return write
