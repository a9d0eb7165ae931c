"""One clock for all nodes of a lab in memory: deadlocks, roles that hold the clock, and idle time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nodes.errors import RunFailed
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest, RunResult
from shared_state.config import WorldConfig

Chain = Callable[..., WorldConfig]
Play = Callable[..., RunResult]
TWO = {"alice": "alice", "bob": "bob"}
HEADER = """
from __future__ import annotations
import asyncio, threading
from dataclasses import dataclass
from nodes.errors import Deadlock
from nodes.ports import *

@dataclass(frozen=True)
class Note:
    number: int
"""


@pytest.fixture
def play(chain: Chain, tmp_path: Path) -> Play:
    """Play a program of alice and bob; the lab lives on and holds nothing afterwards."""

    async def played(body: str, deadline: float, rounds: int, length: float) -> RunResult:
        program = tmp_path / "mine.py"
        program.write_text(HEADER + body)
        async with in_memory_lab(chain("alice", "bob", length=length)) as lab:
            try:
                return await lab.run(RunRequest(str(program), TWO, rounds, deadline=deadline))
            finally:
                census = await lab.census()
                assert (census.qubits, census.waiting, census.reserved) == (0, 0, 0)
                again = await lab.run(RunRequest("teleport", TWO))
                assert again.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)

    def run(body: str, deadline: float = 30.0, rounds: int = 1, length: float = 10_000.0) -> RunResult:
        return asyncio.run(played(body, deadline, rounds, length))

    return run


def test_two_roles_that_both_receive_first_end_at_once_with_the_story_of_both(play: Play) -> None:
    began = time.monotonic()
    with pytest.raises(RunFailed) as failed:
        play(
            """
async def alice(bob: Peer):
    await bob.receive(Note)
async def bob(alice: Peer):
    await alice.receive(Note)
"""
        )
    assert time.monotonic() - began < 5
    assert failed.value.cause == "Deadlock"
    assert "everybody waits: alice for" in str(failed.value)
    assert "; bob for" in str(failed.value)


def test_a_role_whose_peer_has_finished_without_a_word_is_told_that_nothing_comes(play: Play) -> None:
    with pytest.raises(RunFailed, match="everybody waits: bob for") as failed:
        play(
            """
async def alice(bob: Peer, clock: Clock):
    await clock.sleep(1)
async def bob(alice: Peer):
    await alice.receive(Note)
"""
        )
    assert (failed.value.node, failed.value.cause) == ("bob", "Deadlock")
    assert "at 1 s" in str(failed.value)


def test_a_role_may_go_on_after_a_deadlock(play: Play) -> None:
    result = play(
        """
async def alice(bob: Peer, clock: Clock):
    try:
        await bob.receive(Note)
    except Deadlock:
        await clock.sleep(2)
        await bob.send(Note(7))
    return clock.now()
async def bob(alice: Peer):
    while True:
        try:
            return (await alice.receive(Note)).number
        except Deadlock:
            pass
"""
    )
    assert result.returned == [{"alice": 2.0, "bob": 7}]


ROUND_TRIP = """
async def alice(bob: Peer, clock: Clock):
    {foreign}
    await bob.send(Note(1))
    await bob.receive(Note)
    return clock.now()
async def bob(alice: Peer, clock: Clock):
    await alice.receive(Note)
    {foreign}
    await alice.send(Note(2))
    return clock.now()
"""


@pytest.mark.parametrize(
    "foreign",
    [
        "await asyncio.sleep(0.05)",
        "await asyncio.to_thread(threading.Event().wait, 0.05)",
        "await (await asyncio.create_subprocess_exec('true')).wait()",
        "await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, sum, range(10**6)), 20)",
    ],
)
def test_emulated_time_stands_still_while_a_role_waits_for_the_world_outside(
    play: Play, foreign: str
) -> None:
    without = play(ROUND_TRIP.format(foreign="pass"))
    assert play(ROUND_TRIP.format(foreign=foreign)).returned == without.returned


def test_a_role_that_holds_the_clock_beyond_the_deadline_fails_with_the_place(play: Play) -> None:
    began = time.monotonic()
    with pytest.raises(RunFailed, match=r"mine.py:\d+, in _stall: it has awaited .* for 0.2 s") as failed:
        play(
            """
async def _stall():
    await asyncio.get_running_loop().create_future()
async def alice(bob: Peer):
    async with asyncio.TaskGroup() as group:
        group.create_task(_stall())
async def bob(alice: Peer):
    await alice.receive(Note)
""",
            deadline=0.2,
        )
    assert (failed.value.node, failed.value.cause) == ("alice", "TurnKept")
    assert time.monotonic() - began < 10


def test_a_role_that_holds_the_clock_again_and_again_is_patiently_waited_for(play: Play) -> None:
    result = play(
        """
async def alice(clock: Clock):
    for _ in range(10):
        await asyncio.sleep(0.06)
    return clock.now()
async def bob(clock: Clock):
    await clock.sleep(1)
    return clock.now()
""",
        deadline=0.3,
    )
    assert result.returned == [{"alice": 0.0, "bob": 1.0}]


def test_an_hour_in_which_nothing_happens_takes_no_time(play: Play) -> None:
    began = time.monotonic()
    result = play(
        """
async def alice(bob: Peer, clock: Clock):
    await clock.sleep(3600)
    await bob.send(Note(1))
    return clock.now()
async def bob(alice: Peer, clock: Clock):
    await alice.receive(Note)
    return clock.now()
""",
        length=0.0,
    )
    assert result.returned == [{"alice": 3600.0, "bob": 3600.0}]
    assert time.monotonic() - began < 5
