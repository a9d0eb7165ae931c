"""What @pytest.mark.lab says is read once, and what cannot be meant is refused with what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.errors import LabFileInvalid, LabNotFound
from deploy.testing.errors import MarkInvalid
from deploy.testing.mark import wanted
from deploy.testing.planned import lab_of, planned

TEXT = """
name: pair
nodes: {alice: , bob: {memories: {count: 3}}, no: }
links:
- {endpoints: [alice, bob], length: 20 km}
- {name: side, endpoints: [bob, no], length: 5 km}
"""


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((), {}, "wants a lab file, the name of a ready lab or a lab file's text"),
        ((7,), {}, "wants a lab file"),
        (("a", "b"), {}, "takes one lab; the rest has names"),
        (("a",), {"lab": "b"}, "takes one lab"),
        (("a",), {"sed": 7}, "unknown argument 'sed'; did you mean 'seed'?"),
        (("a",), {"seed": "7"}, "seed='7'; write a whole number from 0"),
        (("a",), {"seed": True}, "seed=True; write a whole number"),
        (("a",), {"seed": -1}, "seed=-1; write a whole number"),
        (("a",), {"clock": "vritual"}, "clock='vritual'; write one of"),
        (("a",), {"scope": "class"}, "scope='class'; write one of function, module, session"),
        (("a",), {"overrides": [1]}, "overrides is a dict like"),
        (("a",), {"overrides": {"nodes": {1, 2}}}, "overrides are texts, numbers, lists and dicts"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: tuple[object, ...], keywords: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(MarkInvalid) as refused:
        wanted(arguments, keywords, tmp_path)
    assert message in str(refused.value)


def test_a_file_beside_the_test_comes_before_a_ready_lab_of_its_name(tmp_path: Path) -> None:
    assert lab_of(wanted(("alice-bob",), {}, tmp_path))[0].name == "alice-bob"
    (tmp_path / "alice-bob").write_text(TEXT)
    lab, text = lab_of(wanted(("alice-bob",), {}, tmp_path))
    assert (lab.name, text) == ("pair", TEXT)
    with pytest.raises(LabNotFound, match="did you mean 'alice-bob'"):
        lab_of(wanted(("alice-bbo",), {}, tmp_path))


def test_the_text_of_a_lab_file_can_stand_in_the_mark_and_its_mistakes_have_lines(tmp_path: Path) -> None:
    assert list(lab_of(wanted((TEXT,), {}, tmp_path))[0].links) == ["alice-bob", "side"]
    with pytest.raises(LabFileInvalid, match=r"lab-of-the-test.yaml:5:37: "):
        lab_of(wanted((TEXT.replace("20 km", "20"),), {}, tmp_path))


def test_overrides_are_laid_over_nodes_and_links_by_name(tmp_path: Path) -> None:
    overrides = {
        "defaults": {"memories": {"t2": "1 s", "t1": "10 s"}},
        "nodes": {"bob": {"memories": {"t2": "2 s"}}, "dora": None},
        "links": {
            "alice-bob": {"length": "40 km", "source": {"rate": "10 kHz", "fidelity": 0.97}},
            "side": None,
        },
        "runtime": {"max_qubits": 6},
        "taps": {"eve": {"link": "alice-bob", "at": "3 km", "enabled": False}},
    }
    lab, _ = lab_of(wanted((TEXT,), {"overrides": overrides}, tmp_path))
    assert list(lab.nodes) == ["alice", "bob", "no"]
    assert (lab.nodes["bob"].devices.memories.count, lab.nodes["bob"].devices.memories.t2) == (3, 2.0)
    assert lab.nodes["no"].devices.memories.t2 == 1.0
    assert list(lab.links) == ["alice-bob"]
    assert lab.links["alice-bob"].devices.fibre.length == 40e3
    assert lab.runtime.max_qubits == 6
    assert not lab.taps["eve"].enabled


def test_mistakes_in_overrides_are_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(MarkInvalid, match="unknown link 'alice-bbo'; did you mean 'alice-bob'"):
        lab_of(wanted((TEXT,), {"overrides": {"links": {"alice-bbo": {"length": "1 km"}}}}, tmp_path))
    with pytest.raises(LabFileInvalid) as invalid:
        lab_of(wanted((TEXT,), {"overrides": {"links": {"side": {"length": "40"}}}}, tmp_path))
    assert "with the overrides of pytest.mark.lab: " in str(invalid.value)
    assert "write" in str(invalid.value)


def test_a_lab_in_virtual_time_draws_a_seed_unless_applications_get_keys_in_it(tmp_path: Path) -> None:
    assert planned(wanted((TEXT,), {}, tmp_path)).plan.world.seed is not None
    assert planned(wanted((TEXT,), {"seed": 7}, tmp_path)).head.seed == 7
    assert planned(wanted((TEXT,), {"clock": "real-time"}, tmp_path)).plan.world.seed is None
    served = TEXT.replace("count: 3}", "count: 3}, services: {etsi014: {sae: [vpn]}}")
    assert planned(wanted((served,), {}, tmp_path)).plan.world.seed is None


def test_the_head_of_the_record_has_the_text_that_was_brought_up(tmp_path: Path) -> None:
    made = planned(wanted((TEXT,), {"overrides": {"name": "other"}}, tmp_path))
    assert made.plan.lab == made.head.lab == "other"
    assert "name: other" in made.head.lab_text
    assert made.head.lab_text == made.text
