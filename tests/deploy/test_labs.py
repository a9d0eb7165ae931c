"""Every lab that ships can be used, and is what its comments say."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.figures import fibre_figures, pair_figures
from deploy.plan import plan
from deploy.topology import find, load, shipped
from shared_state.config import DoubleClickSource, GateConfig, SingleClickSource, WernerSource
from shared_state.world.schemes.arms import arms

LABS = sorted(shipped())


def test_the_labs_of_the_first_release_ship() -> None:
    assert {"alice-bob", "alice-charlie-bob"} <= set(LABS)


@pytest.mark.parametrize("name", LABS)
def test_a_shipped_lab_is_valid_and_goes_by_the_name_of_its_file(name: str) -> None:
    lab = load(find(name))
    assert lab.name == name
    assert set(plan(lab).nodes) == set(lab.nodes)


@pytest.mark.parametrize("name", LABS)
def test_a_shipped_lab_begins_with_a_comment_for_the_newcomer(name: str) -> None:
    assert shipped()[name].read_text(encoding="utf-8").startswith("# ")


def test_alice_bob_is_ideal_but_for_the_loss_of_its_fibre() -> None:
    world = plan(load(find("alice-bob"))).world
    assert all(node.memories.t1 == node.memories.t2 == float("inf") for node in world.nodes.values())
    assert all(node.gates == GateConfig() for node in world.nodes.values())
    assert world.links["alice-bob"].source == WernerSource(fidelity=1.0)
    assert world.links["alice-bob"].fibre.length == 20e3


def test_alice_and_bob_get_pairs_through_charlie_and_keys_over_their_own_fibre() -> None:
    planned = plan(load(find("alice-charlie-bob")))
    assert planned.entanglement_route("alice", "bob") == ("alice", "charlie", "bob")
    assert planned.world.links["alice-bob"].pulses.misalignment == pytest.approx(0.01)


def test_eve_waits_half_way_between_alice_and_bob() -> None:
    world = plan(load(find("alice-charlie-bob"))).world
    eve = world.taps["eve"]
    assert eve.link == "alice-bob"
    assert eve.position == pytest.approx(world.links["alice-bob"].fibre.length / 2)
    assert (eve.fraction, eve.enabled) == (1.0, False)


def test_the_fibres_from_delft_and_the_hague_lose_what_they_do_in_the_ground() -> None:
    link = load(find("delft-thehague")).links["rijswijk"].devices
    assert isinstance(link.source, SingleClickSource)
    way = arms(link.fibre, link.source.midpoint)
    assert way.delays == pytest.approx((15e3 / link.fibre.velocity, 10e3 / link.fibre.velocity))
    arriving = tuple(5.1e-4 * 10 ** (-loss_db / 10) for loss_db in (5.6, 5.2))
    assert way.detection(link.source.emission) == pytest.approx(arriving, rel=5e-3)


def test_an_attempt_in_innsbruck_succeeds_as_often_as_in_the_experiment() -> None:
    lab = load(find("innsbruck-230m"))
    figures = pair_figures(lab, lab.links["campus"])
    assert figures is not None
    assert figures.success_probability == pytest.approx(4e-5, rel=0.02)
    assert figures.fidelity == pytest.approx(0.94, abs=0.005)


def test_the_photon_in_boston_is_detected_behind_the_whole_loop() -> None:
    lab = load(find("boston-35km"))
    link = lab.links["loop"]
    assert isinstance(link.devices.source, DoubleClickSource)
    assert link.devices.source.midpoint == link.length
    assert fibre_figures(link).loss_db == pytest.approx(17, abs=0.02)


def test_the_metro_fibre_is_for_pulses_of_three_intensities() -> None:
    planned = plan(load(find("metro-decoy")))
    link = planned.world.links["metro"]
    assert link.source is None
    assert len(link.pulses.intensities) == len(link.pulses.intensity_probabilities) == 3
    assert planned.world.taps["eve"].strategy == "photon-number-splitting"


def test_no_file_in_the_labs_folder_is_left_out() -> None:
    folder = Path(shipped()["alice-bob"]).parent
    assert {file.stem for file in folder.iterdir() if file.suffix in (".yaml", ".yml")} == set(LABS)
