"""What is done to a node's process: refused where the lab does not run it, bounded, one thing at a time."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from deploy import node_processes
from deploy.child import Child
from deploy.errors import LabFailed, NotFound, UsageError
from deploy.node_processes import NodeProcesses
from deploy.premises import Premises
from nodes.runtime.conductor import Conductor


@dataclass(slots=True, kw_only=True)
class Stubborn(Child):
    """A process that notes its signals; what kills it is up to the test."""

    signals: list[signal.Signals] = field(default_factory=list)

    def signal(self, number: signal.Signals) -> bool:
        """Note a signal."""
        if self.ended.is_set():
            return False
        self.signals.append(number)
        return True


class Here:
    """The processes that there are, by name."""

    def __init__(self) -> None:
        self.children: dict[str, Child] = {}


@pytest.fixture
async def sleeper() -> AsyncIterator[int]:
    """Return the id of a process that sleeps."""
    process = await asyncio.create_subprocess_exec("sleep", "60")
    yield process.pid
    process.kill()
    await process.wait()


@pytest.fixture
def here() -> Here:
    """Return a lab's processes."""
    return Here()


@pytest.fixture
def processes(here: Here) -> NodeProcesses:
    """Return what breaks the processes of three nodes, none of which comes back."""
    return NodeProcesses(
        ("alice", "bob", "carol"), cast(Premises, here), cast(Conductor, None), lambda name: None
    )


@pytest.mark.parametrize("what", ["kill", "pause", "resume"])
async def test_a_node_that_others_run_is_to_be_broken_there(processes: NodeProcesses, what: str) -> None:
    with pytest.raises(UsageError, match="'carol' is run by others than this lab: break it where it runs"):
        await getattr(processes, what)("carol")
    with pytest.raises(NotFound, match="unknown node 'dave'"):
        await getattr(processes, what)("dave")


async def test_a_node_that_does_not_end_is_not_waited_for_for_ever(
    processes: NodeProcesses, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_processes, "READY_DEADLINE", 0.01)
    here.children["alice"] = Stubborn(name="alice", log=Path("alice.log"), pid=1)
    with pytest.raises(LabFailed, match="'alice' was killed and has not ended within"):
        await processes.kill("alice")


async def test_a_node_without_a_process_yet_gets_no_guardian(processes: NodeProcesses, here: Here) -> None:
    here.children["alice"] = Stubborn(name="alice", log=Path("alice.log"))
    with pytest.raises(UsageError, match="'alice' has not begun yet; pause it when it is ready"):
        await processes.pause("alice")
    assert processes.paused == set()


async def test_a_paused_node_that_dies_and_is_started_again_is_not_paused_and_can_be(
    processes: NodeProcesses, here: Here, sleeper: int
) -> None:
    former = here.children["alice"] = Stubborn(name="alice", log=Path("alice.log"), pid=sleeper)
    await asyncio.gather(processes.pause("alice"), processes.pause("alice"))
    assert processes.paused == {"alice"}
    former.ended.set()
    assert processes.paused == set()
    latter = here.children["alice"] = Stubborn(name="alice", log=Path("alice.log"), pid=sleeper)
    await processes.pause("alice")
    assert processes.paused == {"alice"}
    assert latter.signals == [signal.SIGSTOP]
    await processes.release_all()
    assert processes.paused == set()
