"""Processes are started, watched and ended; how one ended is told with its last log lines."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.children import Ready
from deploy.errors import ProcessDied
from deploy.supervisor import Supervisor
from nodes.errors import NodeError

pytestmark = pytest.mark.processes


@dataclass(frozen=True, slots=True)
class Serves:
    """Is ready on a port and serves until it is told to stop."""

    port: int = 0

    async def serve(self, ready: Ready) -> None:
        ready(self.port)
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class Fails:
    """Fails, before or after it is ready."""

    when_ready: bool
    error: type[Exception] = RuntimeError

    async def serve(self, ready: Ready) -> None:
        if self.when_ready:
            ready(0)
        os.write(2, b"something is odd\n")
        raise self.error("the cat is dead")


@dataclass(frozen=True, slots=True)
class Leaves:
    """Ends with an exit code, without a word."""

    async def serve(self, ready: Ready) -> None:
        os._exit(3)


@dataclass(frozen=True, slots=True)
class Spins:
    """Never lets its event loop turn again."""

    async def serve(self, ready: Ready) -> None:
        ready(0)
        while True:
            pass


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    """A supervisor that has no children yet."""
    async with asyncio.timeout(20), Supervisor(tmp_path) as supervisor:
        yield supervisor
    for child in supervisor.children.values():
        assert child.ended.is_set()
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)


async def test_a_child_tells_when_and_where_it_serves(supervisor: Supervisor) -> None:
    child = supervisor.start("server", Serves(port=4711))
    await supervisor.started(child)
    assert child.port == 4711
    assert supervisor.dead() == []


async def test_a_child_that_was_stopped_has_not_died(supervisor: Supervisor) -> None:
    child = supervisor.start("server", Serves())
    await supervisor.started(child)
    await supervisor.stop("server")
    assert (child.exitcode, child.failure) == (0, "")
    assert supervisor.dead() == []


@pytest.mark.parametrize("when_ready", [False, True])
async def test_a_child_that_fails_tells_why_and_its_last_lines(
    supervisor: Supervisor, when_ready: bool
) -> None:
    child = supervisor.start("cat", Fails(when_ready))
    with pytest.raises(ProcessDied, match="process 'cat' failed: the cat is dead") as death:
        await supervisor.watch()
    assert "RuntimeError: the cat is dead" in death.value.lines
    assert supervisor.dead() == [child]
    if not when_ready:
        with pytest.raises(ProcessDied, match="the cat is dead"):
            await supervisor.started(child)


async def test_a_failure_that_explains_itself_is_logged_without_its_trace(supervisor: Supervisor) -> None:
    supervisor.start("cat", Fails(when_ready=False, error=NodeError))
    with pytest.raises(ProcessDied, match="process 'cat' failed: the cat is dead") as death:
        await supervisor.watch()
    assert death.value.lines == ("something is odd", "nodes.errors.NodeError: the cat is dead")


async def test_a_child_that_leaves_without_a_word_is_told_by_its_exit_code(supervisor: Supervisor) -> None:
    with pytest.raises(ProcessDied, match=r"process 'mute' ended with exit code 3$"):
        await supervisor.started(supervisor.start("mute", Leaves()))


async def test_a_child_that_is_killed_is_told_by_the_signal(supervisor: Supervisor) -> None:
    child = supervisor.start("server", Serves())
    await supervisor.started(child)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ProcessDied, match="process 'server' was ended by signal 9"):
        await supervisor.watch()


async def test_a_child_that_does_not_answer_is_killed(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.supervisor._STOP_DEADLINE", 0.2)
    child = supervisor.start("endless", Spins())
    await supervisor.started(child)
    await supervisor.stop("endless")
    assert child.exitcode == -signal.SIGKILL


async def test_a_child_that_is_never_ready_is_not_waited_for_for_ever(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.supervisor._START_DEADLINE", 0.2)
    with pytest.raises(ProcessDied, match=r"was not ready within 0\.2 s"):
        await supervisor.started(supervisor.start("slow", Serves()), supervisor.start("idle", Waits()))


@dataclass(frozen=True, slots=True)
class Waits:
    """Is never ready."""

    async def serve(self, ready: Ready) -> None:
        await asyncio.Event().wait()


async def test_children_do_not_receive_the_ctrl_c_of_their_launcher(supervisor: Supervisor) -> None:
    child = supervisor.start("server", Serves())
    await supervisor.started(child)
    assert os.getsid(child.pid) == child.pid
