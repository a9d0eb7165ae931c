"""What ``bellwire inspect`` foretells of a lab's links."""

from __future__ import annotations

from collections.abc import Callable
from math import exp

import pytest

from deploy.cli.inspection import inspection
from deploy.figures import PairFigures, click_figures, fibre_figures, pair_figures
from deploy.lab import Lab
from deploy.plan import plan
from deploy.topology import find, load, shipped
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest

ReadLab = Callable[[str], Lab]
HEAD = "nodes: {a: , b: }\nlinks:\n- endpoints: [a, b]\n"
WITH_PAIRS = sorted(
    name
    for name in shipped()
    if all(link.devices.source is not None for link in load(find(name)).links.values())
)


@pytest.mark.parametrize("length", [1, 24, 100])
@pytest.mark.parametrize(("attenuation", "insertion"), [(0.2, 0.0), (0.32, 1.5)])
@pytest.mark.parametrize("efficiency", [1.0, 0.2])
def test_transmission_is_told_apart_from_detection(
    read: ReadLab, length: float, attenuation: float, insertion: float, efficiency: float
) -> None:
    keys = f"length: {length} km\n  attenuation: {attenuation} dB/km\n  insertion_loss: {insertion} dB\n"
    lab = read(f"{HEAD}  {keys}  qkd: {{detectors: {{efficiency: {efficiency}}}}}\n")
    figures = fibre_figures(lab.links["a-b"])
    assert figures.loss_db == pytest.approx(length * attenuation + insertion)
    assert figures.transmission == pytest.approx(10 ** (-figures.loss_db / 10))
    assert figures.detection == pytest.approx(figures.transmission * efficiency)
    assert figures.delay == pytest.approx(length * 5e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("name", WITH_PAIRS)
async def test_pairs_are_delivered_with_the_fidelity_foretold(name: str) -> None:
    lab = load(find(name))
    link = next(iter(lab.links.values()))
    figures = pair_figures(lab, link)
    assert figures is not None
    first, second = link.endpoints
    async with in_memory_lab(plan(lab, seed=5).world) as running:
        result = await running.run(RunRequest("entangle", {"alice": first, "bob": second}, rounds=3))
    assert result.figures["fidelity_mean"] == pytest.approx(figures.fidelity, abs=1e-9)


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize("length", [1, 30])
def test_the_rate_is_that_of_the_attempts_that_succeed(read: ReadLab, length: float, waiting: bool) -> None:
    multiplexed = "false" if waiting else "true"
    source = f"{{scheme: double-click, attempt_rate: 100 kHz, emission: 0.1, multiplexed: {multiplexed}}}"
    lab = read(f"{HEAD}  length: {length} km\n  source: {source}\n")
    figures = pair_figures(lab, lab.links["a-b"])
    assert figures is not None
    eta = 0.1 * 10 ** (-0.2 * length / 2 / 10)
    cycle = max(1e-5, length * 5e-6) if waiting else 1e-5
    assert figures.success_probability == pytest.approx(eta**2 / 2)
    assert figures.cycle == pytest.approx(cycle)
    assert figures.rate == pytest.approx(eta**2 / 2 / cycle)
    assert figures.known_after == pytest.approx(length * 5e-6)


def test_a_memory_that_forgets_lowers_the_fidelity_until_its_end_knows(read: ReadLab) -> None:
    memories = "defaults: {memories: {t2: 200 us}}\n"
    lab = read(f"{memories}{HEAD}  length: 35 km\n  source: {{scheme: double-click}}\n")
    figures = pair_figures(lab, lab.links["a-b"])
    assert figures is not None
    assert figures.fidelity_as_made == pytest.approx(1)
    assert figures.fidelity == pytest.approx((1 + exp(-1.75)) / 2)  # 175 us at each end


def test_an_abstract_source_makes_no_attempts(read: ReadLab) -> None:
    lab = read(f"{HEAD}  length: 5 km\n  source: {{rate: 3 kHz, fidelity: 0.9}}\n")
    figures = pair_figures(lab, lab.links["a-b"])
    assert figures is not None
    assert (figures.scheme, figures.success_probability, figures.cycle) == ("werner", None, None)
    assert figures.rate == pytest.approx(3e3)
    assert figures.fidelity == pytest.approx(0.9)


def test_a_source_in_the_dark_has_no_rate_and_no_fidelity(read: ReadLab) -> None:
    lab = read(f"{HEAD}  length: 5 km\n  source: {{scheme: single-click, emission: 0}}\n")
    assert pair_figures(lab, lab.links["a-b"]) == PairFigures("single-click")


def test_a_link_without_a_source_has_no_pairs_and_every_intensity_its_clicks(read: ReadLab) -> None:
    pulses = "{intensities: [0.5, 0.1, 0], encoding: time-bin, detectors: {dark_count_probability: 1 %}}"
    lab = read(f"{HEAD}  length: 5 km\n  qkd: {pulses}\n")
    link = lab.links["a-b"]
    assert pair_figures(lab, link) is None
    signal, decoy, dark = click_figures(link)
    assert (signal.mean, decoy.mean, dark.mean) == (0.5, 0.1, 0.0)
    assert signal.z > decoy.z > dark.z == pytest.approx(1 - 0.99**2)
    assert dark.z < decoy.x < decoy.z


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_document_tells_of_every_link_and_node(name: str) -> None:
    lab = load(find(name))
    document = inspection(lab)
    assert [link["name"] for link in document["links"]] == list(lab.links)
    assert [node["name"] for node in document["nodes"]] == list(lab.nodes)
