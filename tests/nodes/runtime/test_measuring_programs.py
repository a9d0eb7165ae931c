"""What `witness` and `tomography` find out by measuring agrees with the source, on a lab in one event loop."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import pytest

from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import WorldConfig

Chain = Callable[..., WorldConfig]
Figures = dict[str, float | None]


async def figures(world: WorldConfig, program: str, rounds: int) -> Figures:
    async with in_memory_lab(world) as lab:
        result = await lab.run(RunRequest(program, {"alice": "alice", "bob": "bob"}, rounds=rounds))
    return dict(result.figures)


def agrees(found: Figures, name: str, truth: float, sigma: float) -> bool:
    """Judge by the spread that the source itself implies, as the outcomes are too few to trust their own at the tails.

    Six sigma: with the binomial law, and as many outcomes as come up by chance, a false alarm of at most 1e-6 a figure.
    """
    value = found[name]
    assert value is not None
    return abs(value - truth) < 6 * sigma


@pytest.mark.parametrize("fidelity", [0.25, 0.6, 0.85, 0.95])
async def test_the_witness_finds_the_fidelity_of_the_source(chain: Chain, fidelity: float) -> None:
    found = await figures(chain("alice", "bob", fidelity=fidelity), "witness", 600)
    w = (4 * fidelity - 1) / 3
    sigma = sqrt(3 * (1 - w**2) / (600 / 9)) / 4
    assert agrees(found, "fidelity", fidelity, sigma)
    assert agrees(found, "witness", 0.5 - fidelity, sigma)
    assert found["fidelity_stderr"] == found["witness_stderr"]


@pytest.mark.parametrize(("fidelity", "entangled"), [(0.25, False), (0.4, False), (0.85, True), (1.0, True)])
async def test_the_verdict_is_entangled_for_entangled_pairs(
    chain: Chain, fidelity: float, entangled: bool
) -> None:
    # W is 4.9 standard errors or more from the border of the verdict: W/sigma = 1.9 at F = 0.4, -11 at F = 0.85.
    found = await figures(chain("alice", "bob", fidelity=fidelity, seed=2), "witness", 600)
    assert found["entangled"] == entangled


@pytest.mark.thorough
@pytest.mark.parametrize("fidelity", [0.5, 0.9])
async def test_tomography_finds_a_werner_state(chain: Chain, fidelity: float) -> None:
    found = await figures(chain("alice", "bob", fidelity=fidelity), "tomography", 1000)
    w = (4 * fidelity - 1) / 3
    truth = {"t_xx": w, "t_yy": -w, "t_zz": w}
    for name in (f"t_{a}{b}" for a in "ixyz" for b in "ixyz" if a + b != "ii"):
        shots = 1000 / 3 if "i" in name.removeprefix("t_") else 1000 / 9
        assert agrees(found, name, truth.get(name, 0.0), sqrt((1 - truth.get(name, 0.0) ** 2) / shots))
    assert found["t_ii"] == pytest.approx(1)
    spread = sqrt(3 * (1 - w**2) / (1000 / 9))
    assert agrees(found, "fidelity", fidelity, spread / 4)
    assert agrees(found, "purity", (1 + 3 * w**2) / 4, w * spread / 2)
    assert found["t_ix_stderr"] == pytest.approx(sqrt(3 / 1000), rel=0.3)
    physical = found["physical_purity"]
    assert physical is not None
    assert physical <= 1 + 1e-9


@pytest.mark.parametrize("program", ["witness", "tomography"])
async def test_of_too_few_rounds_no_figure_is_invented(chain: Chain, program: str) -> None:
    found = await figures(chain("alice", "bob"), program, 1)
    assert found["fidelity"] is None
    assert found["fidelity_stderr"] is None
