"""A link of a lab that is up is cut and mended from the command line, and whoever needs it is told so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from deploy.errors import NotFound, RunUnsuccessful
from deploy.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.processes.conftest import Bellwire, Lab

pytestmark = pytest.mark.processes


@pytest.fixture
def up(bellwire: Bellwire, lab_on: Callable[[str], str]) -> Bellwire:
    """The command, with the lab ``pair`` up in real time, whose only link is alice-bob."""
    assert bellwire("up", lab_on("embedded"), "-d").code == 0
    return bellwire


def test_entangle_fails_with_the_name_of_the_only_link_while_it_is_cut_and_works_when_it_is_mended(
    up: Bellwire,
) -> None:
    assert up("entangle", "alice", "bob", "-n", "3").code == 0
    cut = up("link", "down", "alice-bob")
    assert (cut.code, cut.out, cut.err) == (0, "", "Link alice-bob of lab pair is down.\n")
    failed = up("entangle", "alice", "bob", "-n", "3")
    assert (failed.code, failed.out) == (RunUnsuccessful.exit_code, "")
    assert "link-down: link 'alice-bob' is down" in failed.err
    assert "Traceback" not in failed.err
    assert up("link", "up", "alice-bob", "-l", "pair").code == 0
    assert up("entangle", "alice", "bob", "-n", "3", "--json").document["fidelity_mean"] == pytest.approx(1.0)
    told = [json.loads(line) for line in up("events", "--event", "link").out.splitlines()]
    assert [(event["event"], event["link"], event["up"]) for event in told] == [
        ("link.set", "alice-bob", False),
        ("link.set", "alice-bob", True),
    ]
    assert up("down").code == 0


def test_no_photon_comes_through_a_cut_link_and_a_key_is_made_when_it_is_mended(up: Bellwire) -> None:
    assert up("link", "down", "alice-bob", "--json").document == {
        "schema": "bellwire.link/1",
        "lab": "pair",
        "link": "alice-bob",
        "up": False,
        "changed": {},
    }
    dark = up("qkd", "alice", "bob", "--pulses", "20000", "--json")
    document: dict[str, Any] = json.loads(dark.out)
    assert (document["sifted_bits"], document["secret_bits"], document["aborted"]) == (0, 0, True)
    assert up("link", "up", "alice-bob").code == 0
    assert up("qkd", "alice", "bob", "--json").document["secret_bits"] > 0
    assert up("down").code == 0


def test_a_link_that_the_lab_lacks_is_not_found_and_nothing_but_down_and_up_is_understood(
    up: Bellwire,
) -> None:
    refused = up("link", "down", "alice-bbo", "--json")
    assert (refused.code, json.loads(refused.out)["exit_code"]) == (NotFound.exit_code, NotFound.exit_code)
    assert "unknown link 'alice-bbo'; did you mean 'alice-bob'?" in refused.err
    assert up("link", "sideways", "alice-bob").code == 2
    assert up("link", "down", "alice-bob", "-l", "metro").code == NotFound.exit_code
    assert up("down").code == 0


async def test_in_virtual_time_too_and_the_qubits_of_a_failed_run_are_gone(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "row.yaml"
    file.write_text(
        "name: row\nruntime: {broker: embedded}\nnodes: {alice: , charlie: , bob: }\nlinks:\n"
        "  - {endpoints: [alice, charlie], length: 1 km}\n  - {endpoints: [charlie, bob], length: 1 km}\n"
    )
    async with lab(file) as running:
        await running.set_link("charlie-bob", False)
        with pytest.raises(RunUnsuccessful, match="link 'charlie-bob' is down"):
            await running.run(Job("entangle", {"alice": "alice", "bob": "bob"}, 5))
        census = await running.census()
        assert (census.qubits, census.reserved, census.waiting) == (0, 0, 0)
        await running.set_link("charlie-bob", True)
        result = await running.run(Job("entangle", {"alice": "alice", "bob": "bob"}, 5))
        assert result.figures["fidelity_mean"] == pytest.approx(1.0)
        with pytest.raises(NotFound, match="unknown link 'bob-charlie'"):
            await running.set_link("bob-charlie", False)
