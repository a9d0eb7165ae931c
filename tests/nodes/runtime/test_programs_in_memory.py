"""The programs, on a lab in one event loop: real roles and a real quantum world, ideal and noisy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from math import exp, inf, sqrt

import pytest

from nodes.apps.entangle import paths
from nodes.errors import ProgramInvalid
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import FibreConfig, GateConfig, LinkDevices, MemoryConfig, WorldConfig

Chain = Callable[..., WorldConfig]

TWO = {"alice": "alice", "bob": "bob"}
THREE = {"alice": "alice", "charlie": "charlie", "bob": "bob"}


async def test_bob_receives_the_state_alice_gave_up(chain: Chain) -> None:
    async with in_memory_lab(chain("alice", "bob")) as lab:
        result = await lab.run(RunRequest("teleport", TWO, rounds=50))
    assert result.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("fidelity", [0.25, 0.5, 0.7, 0.85, 0.97])
async def test_teleportation_over_a_werner_pair_has_the_average_fidelity_of_the_textbook(
    chain: Chain, fidelity: float
) -> None:
    # For every input state a Werner pair gives exactly (2F + 1)/3 (Horodecki et al., PRA 60, 1888, 1999).
    async with in_memory_lab(chain("alice", "bob", fidelity=fidelity)) as lab:
        result = await lab.run(RunRequest("teleport", TWO, rounds=20))
    assert result.figures["fidelity_mean"] == pytest.approx((2 * fidelity + 1) / 3, abs=1e-9)


@pytest.mark.parametrize("fidelity", [0.6, 0.8, 0.95, 1.0])
async def test_a_swapped_pair_has_the_fidelity_of_the_textbook(chain: Chain, fidelity: float) -> None:
    async with in_memory_lab(chain("alice", "charlie", "bob", fidelity=fidelity)) as lab:
        result = await lab.run(RunRequest("swap", THREE, rounds=20))
    expected = fidelity**2 + (1 - fidelity) ** 2 / 3
    assert result.figures["fidelity_mean"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("repeaters", [0, 1, 2, 4])
async def test_a_pair_over_any_number_of_repeaters_is_what_swapping_makes_of_its_links(
    chain: Chain, repeaters: int
) -> None:
    # n links of Werner parameter w give 1/4 + 3/4 w^n.
    names = ["alice", *(f"r{number}" for number in range(repeaters)), "bob"]
    async with in_memory_lab(chain(*names, fidelity=0.95)) as lab:
        result = await lab.run(RunRequest("entangle", TWO, rounds=10))
    w = (4 * 0.95 - 1) / 3
    assert result.figures["fidelity_mean"] == pytest.approx(0.25 + 0.75 * w ** (repeaters + 1), abs=1e-9)
    assert paths(result.returned) == [names]


@pytest.mark.parametrize("length", [1e3, 50e3, 300e3])
@pytest.mark.parametrize(("t1", "t2"), [(inf, 1e-3), (10e-3, 2e-3), (0.2e-3, 0.3e-3), (inf, inf)])
async def test_bobs_half_ages_while_alices_message_is_on_its_way(
    chain: Chain, length: float, t1: float, t2: float
) -> None:
    # One side of |Phi+> ages for t = L/v: F = (1 + e^(-t/T1))/4 + e^(-t/T2)/2 (closed form of relaxation with one
    # ideal side), and teleportation gives (2F + 1)/3 on average. Individual inputs differ; the mean over random ones is
    # within 4.9 standard errors (false alarm 1e-6).
    world = chain("alice", "bob", length=length, memories=MemoryConfig(t1=t1, t2=t2))
    async with in_memory_lab(world) as lab:
        result = await lab.run(RunRequest("teleport", TWO, rounds=150))
    t = length / 2e8
    pair = (1 + exp(-t / t1)) / 4 + exp(-t / t2) / 2
    mean, error = result.figures["fidelity_mean"], result.figures["fidelity_stderr"]
    assert mean is not None
    assert error is not None
    assert abs(mean - (2 * pair + 1) / 3) < 4.9 * error + 1e-9


@pytest.mark.thorough
async def test_readout_errors_of_the_repeater_spoil_the_swap_as_briegel_says(chain: Chain) -> None:
    # The mean over outcomes and flips; 1,500 rounds, each 0 or 1 within noise: 4.9 sigma is a false alarm of 1e-6.
    gates = GateConfig(readout_error_0=0.1, readout_error_1=0.1)
    async with in_memory_lab(chain("alice", "charlie", "bob", gates=gates)) as lab:
        result = await lab.run(RunRequest("swap", THREE, rounds=1500))
    expected = 0.25 + 0.75 * (4 * 0.9**2 - 1) / 3
    mean = result.figures["fidelity_mean"]
    assert mean is not None
    assert abs(mean - expected) < 4.9 * sqrt(expected * (1 - expected) / 1500)


@pytest.mark.thorough
async def test_the_bell_test_gives_tsirelsons_bound_without_noise(chain: Chain) -> None:
    async with in_memory_lab(chain("alice", "bob")) as lab:
        result = await lab.run(RunRequest("chsh", TWO, rounds=1500))
    s, error = result.figures["s"], result.figures["s_stderr"]
    assert s is not None
    assert error is not None
    assert abs(s - 2 * sqrt(2)) < 4.9 * error  # false alarm 1e-6


async def test_the_same_seed_gives_the_same_run_and_another_one_does_not(chain: Chain) -> None:
    async def run(seed: int) -> list[object]:
        async with in_memory_lab(chain("alice", "bob", fidelity=0.9, seed=seed)) as lab:
            result = await lab.run(RunRequest("chsh", TWO, rounds=40))
        return [result.returned, result.duration]

    assert await run(7) == await run(7)
    assert await run(7) != await run(8)


async def test_runs_side_by_side_do_not_disturb_each_other(chain: Chain) -> None:
    async with in_memory_lab(chain("alice", "charlie", "bob")) as lab, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(lab.run(RunRequest(program, roles, rounds=20)))
            for program, roles in (("swap", THREE), ("teleport", TWO), ("swap", THREE), ("teleport", TWO))
        ]
    for task in tasks:
        assert task.result().figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)


async def test_of_parallel_links_photons_take_the_one_without_a_source(chain: Chain) -> None:
    world = chain("alice", "bob", length=300_000.0)
    keys = LinkDevices(("bob", "alice"), FibreConfig(1_000.0), source=None)
    world = replace(world, links={"keys": keys, **world.links, "more": world.links["alice-bob"]})
    async with in_memory_lab(world) as lab:
        pairs = await lab.run(RunRequest("teleport", TWO, rounds=10))
        photons = await lab.run(RunRequest("qkd", TWO, parameters={"pulses": 20_000}))
    assert pairs.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
    assert photons.returned[0]["alice"]["sifted_bits"] > 9000  # 300 km would let one in a million through


async def test_a_pair_without_a_chain_of_sources_is_refused_before_anything_starts(chain: Chain) -> None:
    world = chain("alice", "bob")
    world.nodes["hermit"] = world.nodes["alice"]
    async with in_memory_lab(world) as lab:
        with pytest.raises(ProgramInvalid, match="no chain of links"):
            await lab.run(RunRequest("teleport", {"alice": "alice", "bob": "hermit"}))


@pytest.mark.parametrize("program", ["teleport", "swap", "entangle", "chsh"])
async def test_a_run_that_is_called_off_leaves_nothing_and_disturbs_nobody(
    chain: Chain, program: str
) -> None:
    roles = THREE if program == "swap" else TWO
    async with in_memory_lab(chain("alice", "charlie", "bob")) as lab:
        for judged_before in range(1, 12, 3):
            reached = asyncio.Event()

            def note(judged: int, enough: int = judged_before, reached: asyncio.Event = reached) -> None:
                if judged >= enough:
                    reached.set()

            running = asyncio.ensure_future(lab.run(RunRequest(program, roles, rounds=10_000), note))
            await reached.wait()
            running.cancel()
            await asyncio.wait([running])
            assert running.cancelled()
            census = await lab.census()
            assert (census.qubits, census.handed_over, census.waiting) == (0, 0, 0)
        result = await lab.run(RunRequest("swap", THREE, rounds=5))
    assert result.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
