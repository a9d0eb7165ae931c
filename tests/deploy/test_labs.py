"""Every lab that ships can be used, and is what its comments say."""

from __future__ import annotations

from itertools import combinations
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


def test_three_nodes_in_delft_make_some_ten_pairs_a_second_on_either_link_and_swap_them() -> None:
    lab = load(find("delft3"))
    assert plan(lab).entanglement_route("alice", "charlie") == ("alice", "bob", "charlie")
    assert lab.nodes["bob"].devices.memories.count == 2
    for link in lab.links.values():
        figures = pair_figures(lab, link)
        assert figures is not None
        assert figures.rate == pytest.approx(12, abs=2)
        assert figures.fidelity == pytest.approx(0.82, abs=0.02)


def test_two_ions_in_oxford_are_entangled_as_often_and_as_well_as_in_the_experiment() -> None:
    lab = load(find("oxford-2m"))
    figures = pair_figures(lab, lab.links["bench"])
    assert figures is not None
    assert figures.success_probability == pytest.approx(2.18e-4, rel=0.01)
    assert figures.rate == pytest.approx(182, rel=0.01)
    assert figures.fidelity == pytest.approx(0.94, abs=1e-3)


def test_two_centres_make_pairs_faster_than_they_lose_them() -> None:
    lab = load(find("humphreys2"))
    figures = pair_figures(lab, lab.links["table"])
    assert figures is not None
    assert figures.rate == pytest.approx(39, rel=0.03)
    decoherence_rate = sum(1 / node.devices.memories.t2 for node in lab.nodes.values())
    assert decoherence_rate == pytest.approx(5)
    assert figures.fidelity is not None
    assert figures.fidelity > 0.5


def test_the_memories_of_hefei_outlast_the_way_to_the_server_and_back() -> None:
    lab = load(find("hefei3"))
    assert {frozenset(link.endpoints) for link in lab.links.values()} == {
        frozenset(pair) for pair in combinations(lab.nodes, 2)
    }
    for link in lab.links.values():
        figures = pair_figures(lab, link)
        assert figures is not None
        assert figures.known_after is not None
        assert figures.known_after < min(node.devices.memories.t2 for node in lab.nodes.values())


def test_the_longest_chain_has_thirty_one_repeaters_with_sixteen_memories_each() -> None:
    lab = load(find("chain-33"))
    route = plan(lab).entanglement_route("alice", "bob")
    assert route == ("alice", *(f"r{index}" for index in range(1, 32)), "bob")
    assert {node.devices.memories.count for node in lab.nodes.values()} == {16}


def test_every_node_of_the_large_grid_has_its_neighbours_in_row_and_column() -> None:
    lab = load(find("grid-10x10"))
    assert list(lab.nodes) == [f"n{row}{column}" for row in range(10) for column in range(10)]
    apart = [
        sorted(abs(int(a) - int(b)) for a, b in zip(*(end[1:] for end in link.endpoints), strict=True))
        for link in lab.links.values()
    ]
    assert apart == [[0, 1]] * 180
    assert len({frozenset(link.endpoints) for link in lab.links.values()}) == 180


def test_the_switch_of_eight_leaves_holds_two_halves_for_each() -> None:
    lab = load(find("star-8"))
    assert plan(lab).entanglement_route("leaf1", "leaf8") == ("leaf1", "switch", "leaf8")
    assert lab.nodes["switch"].devices.memories.count == 16


def test_no_file_in_the_labs_folder_is_left_out() -> None:
    folder = Path(shipped()["alice-bob"]).parent
    assert {file.stem for file in folder.iterdir() if file.suffix in (".yaml", ".yml")} == set(LABS)
