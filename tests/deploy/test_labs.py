"""Every lab that ships can be used, and is what its comments say."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.plan import plan
from deploy.topology import find, load, shipped
from shared_state.config import GateConfig, WernerSource

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


def test_no_file_in_the_labs_folder_is_left_out() -> None:
    folder = Path(shipped()["alice-bob"]).parent
    assert {file.stem for file in folder.iterdir() if file.suffix in (".yaml", ".yml")} == set(LABS)
