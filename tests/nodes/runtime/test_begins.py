"""When runs begin in virtual time: as the one before has ended, whatever the server has drawn for later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nodes.errors import RunFailed
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import WernerSource, WorldConfig

Chain = Callable[..., WorldConfig]
TWO = {"alice": "alice", "bob": "bob"}
CLOCKS = """
from nodes.ports import *

async def alice(clock: Clock):
    return clock.now()

async def bob(clock: Clock):
    return clock.now()
"""
PAIR_THAT_COMES_LATER = """
from nodes.ports import *

async def alice(bob_link: QuantumLink):
    await bob_link.pair()

async def bob(alice_link: QuantumLink, clock: Clock):
    import asyncio
    async with asyncio.TaskGroup() as group:
        group.create_task(alice_link.pair())
        await clock.sleep(1.0)
        raise ValueError("that is enough")
"""


def slow(world: WorldConfig, rate: float) -> WorldConfig:
    """Return a world whose sources make so many pairs in a second."""
    links = {name: replace(link, source=WernerSource(rate=rate)) for name, link in world.links.items()}
    return replace(world, links=links)


@pytest.fixture
def clocks(tmp_path: Path) -> str:
    """Write a program that tells when it has begun."""
    file = tmp_path / "clocks.py"
    file.write_text(CLOCKS)
    return str(file)


async def test_a_run_begins_when_the_last_one_failed_and_not_when_its_pair_would_have_come(
    chain: Chain, clocks: str, tmp_path: Path
) -> None:
    program = tmp_path / "later.py"
    program.write_text(PAIR_THAT_COMES_LATER)
    async with in_memory_lab(slow(chain("alice", "bob"), 1e-3)) as lab:
        with pytest.raises(RunFailed, match="that is enough"):
            await lab.run(RunRequest(str(program), TWO))
        assert (await lab.run(RunRequest(clocks, TWO))).returned == [{"alice": 1.0, "bob": 1.0}]


async def test_a_run_begins_when_the_last_one_ended_though_its_circuit_had_asked_for_more_pairs(
    chain: Chain, clocks: str
) -> None:
    async with in_memory_lab(slow(chain("alice", "charlie", "bob"), 1.0)) as lab:
        ended = 0.0
        for _ in range(4):
            ended += (await lab.run(RunRequest("entangle", TWO, rounds=2))).duration
            begun = (await lab.run(RunRequest(clocks, TWO))).returned
            assert begun == [{"alice": pytest.approx(ended), "bob": pytest.approx(ended)}]
