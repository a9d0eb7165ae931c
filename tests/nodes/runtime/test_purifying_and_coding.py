"""`superdense` and `purify`, on a lab in one event loop, against their closed forms."""

from __future__ import annotations

from collections.abc import Callable
from math import log2, sqrt

import pytest

from nodes.apps.superdense import information
from nodes.errors import RunFailed
from nodes.network.circuit import PURIFICATIONS
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.programs import Scalar
from nodes.runtime.run_request import RunRequest
from shared_state.config import FibreConfig, GateConfig, LinkDevices, SingleClickSource, WorldConfig
from shared_state.validation.purification import dejmps, noisy_bbpssw, werner

Chain = Callable[..., WorldConfig]
ROUNDS = 100


async def figures(world: WorldConfig, program: str, **parameters: Scalar) -> dict[str, float]:
    async with in_memory_lab(world) as lab:
        roles = {"alice": "alice", "bob": "bob"}
        result = await lab.run(RunRequest(program, roles, rounds=ROUNDS, parameters=parameters))
    return {name: value for name, value in result.figures.items() if value is not None}


def near(share: float, expected: float, number: float = ROUNDS) -> bool:
    """Judge a share at 5 sigma."""
    return abs(share - expected) <= 5 * sqrt(expected * (1 - expected) / number) + 1e-9


@pytest.mark.parametrize("fidelity", [0.25, 0.6, 0.9, 1.0])
async def test_both_bits_are_right_as_often_as_the_pair_is_good(chain: Chain, fidelity: float) -> None:
    found = await figures(chain("alice", "bob", fidelity=fidelity, length=1.0), "superdense")
    assert near(found["success"], fidelity, ROUNDS * found["arrived"])


@pytest.mark.parametrize("length", [5e3, 15e3, 30e3])
async def test_the_encoded_qubit_is_lost_as_often_as_the_fibre_says(chain: Chain, length: float) -> None:
    found = await figures(chain("alice", "bob", length=length), "superdense")
    assert near(found["arrived"], 10 ** (-0.2 * length / 1e4))
    assert found["success"] == 1.0


def test_a_qubit_carries_two_bits_at_best_and_none_when_reading_is_guessing() -> None:
    assert information(1.0) == pytest.approx(2)
    assert information(0.25) == pytest.approx(0)
    assert information(0.9) == pytest.approx(2 + 0.9 * log2(0.9) + 0.1 * log2(0.1 / 3))


@pytest.mark.parametrize("fidelity", [0.55, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("protocol", ["bbpssw", "dejmps"])
async def test_werner_pairs_are_purified_as_the_papers_say(
    chain: Chain, fidelity: float, protocol: str
) -> None:
    found = await figures(chain("alice", "bob", fidelity=fidelity), "purify", protocol=protocol)
    probability, pair = dejmps(werner(fidelity))  # one round on Werner pairs is the same in both
    assert near(found["success"], probability)
    assert found["fidelity"] == pytest.approx(pair.phi_plus, abs=1e-9)


@pytest.mark.parametrize(("fidelity", "gate"), [(0.8, 0.97), (0.7, 0.99), (0.95, 0.9)])
async def test_noisy_gates_take_what_the_closed_form_says(chain: Chain, fidelity: float, gate: float) -> None:
    world = chain("alice", "bob", fidelity=fidelity, gates=GateConfig(two_fidelity=gate))
    found = await figures(world, "purify", protocol="bbpssw")
    probability, after = noisy_bbpssw(fidelity, gate, 1.0)
    assert near(found["success"], probability)
    assert found["fidelity"] == pytest.approx(after, abs=1e-9)
    assert (found["fidelity"] < fidelity) == (gate == 0.9)  # bad gates make it worse than leaving it


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.4])
async def test_epl_makes_perfect_pairs_of_those_that_one_click_heralds(chain: Chain, alpha: float) -> None:
    world = chain("alice", "bob")
    source = SingleClickSource(alpha=(alpha, alpha), emission=(0.01, 0.01))
    world.links["alice-bob"] = LinkDevices(("alice", "bob"), FibreConfig(1.0), source)
    before = await figures(world, "entangle")
    found = await figures(world, "purify", protocol="epl")
    assert near(found["success"], before["fidelity_mean"] ** 2 / 2)
    assert found["fidelity"] == pytest.approx(1.0, abs=1e-9)


async def test_a_protocol_that_nobody_knows_is_refused_with_those_there_are(chain: Chain) -> None:
    with pytest.raises(RunFailed, match=", ".join(PURIFICATIONS)):
        await figures(chain("alice", "bob"), "purify", protocol="none")
