"""The same programs in virtual and in real time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from nodes.errors import RunFailed
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest

pytestmark = pytest.mark.alone

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nodes.runtime.conftest import Chain

PAIR = {"alice": "alice", "bob": "bob"}
MODES = ("virtual", "real-time")

SLEEPERS = """
from nodes.ports import Clock, Peer
from dataclasses import dataclass

@dataclass(frozen=True)
class Note:
    number: int

async def alice(bob: Peer, clock: Clock, seconds: float = 0.0):
    before = clock.now()
    await clock.sleep(seconds)
    await bob.send(Note(1))
    return clock.now() - before

async def bob(alice: Peer, clock: Clock, seconds: float = 0.0):
    before = clock.now()
    await alice.receive(Note)
    return clock.now() - before
"""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("program", ["teleport", "entangle"])
async def test_ideal_devices_give_perfect_fidelity_on_either_clock(
    chain: Chain, program: str, mode: str
) -> None:
    async with in_memory_lab(chain("alice", "bob", mode=mode)) as lab:
        run = await lab.run(RunRequest(program, PAIR, rounds=10))
    assert run.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
    assert run.duration > 0


@pytest.mark.parametrize("mode", MODES)
async def test_a_swap_over_a_repeater_works_on_either_clock(chain: Chain, mode: str) -> None:
    async with in_memory_lab(chain("alice", "charlie", "bob", mode=mode)) as lab:
        run = await lab.run(RunRequest("teleport", PAIR, rounds=5))
    assert run.paths == [["alice", "charlie", "bob"]]
    assert run.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("mode", MODES)
async def test_several_runs_at_a_time_and_one_after_the_other_share_one_lab(chain: Chain, mode: str) -> None:
    request = RunRequest("teleport", PAIR, rounds=5)
    async with in_memory_lab(chain("alice", "bob", mode=mode)) as lab:
        together = await asyncio.gather(*(lab.run(request) for _ in range(3)))
        afterwards = await lab.run(request)
        census = await lab.census()
    runs = [*together, afterwards]
    assert len({run.run for run in runs}) == 4
    assert all(run.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9) for run in runs)
    assert (census.qubits, census.waiting, census.reserved) == (0, 0, 0)


@pytest.mark.parametrize(("mode", "exact"), [("virtual", True), ("real-time", False)])
async def test_a_sleep_takes_its_emulated_time_and_a_message_that_of_its_way(
    chain: Chain, tmp_path: Path, mode: str, exact: bool
) -> None:
    told = await _sleepers(chain, tmp_path, mode, 0.05)
    assert told["alice"] >= 0.05 - 1e-12
    assert told["bob"] >= told["alice"] if exact else told["bob"] > 0.04
    if exact:
        assert told == {"alice": pytest.approx(0.05), "bob": pytest.approx(0.05 + 50e-6)}


@pytest.mark.parametrize("mode", MODES)
async def test_a_clock_that_would_run_backwards_fails_the_run_and_says_so(
    chain: Chain, tmp_path: Path, mode: str
) -> None:
    with pytest.raises(RunFailed, match=r"a clock cannot run backwards or stand still: sleep\(-1\.0\)"):
        await _sleepers(chain, tmp_path, mode, -1.0)


async def _sleepers(chain: Chain, folder: Path, mode: str, seconds: float) -> dict[str, float]:
    program = folder / "sleepers.py"
    program.write_text(SLEEPERS)
    async with in_memory_lab(chain("alice", "bob", mode=mode)) as lab:
        run = await lab.run(RunRequest(str(program), PAIR, parameters={"seconds": seconds}))
    told: dict[str, float] = run.returned[0]
    return told
