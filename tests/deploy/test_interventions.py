"""What nodes are told when something is done to the lab: what has changed for them, and all of it when in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.errors import UsageError
from deploy.interventions import Interventions
from deploy.node_processes import NodeProcesses
from deploy.plan import Plan, plan
from deploy.topology import load
from nodes.runtime.conductor import Conductor
from nodes.runtime.orders import ChangeChannels
from shared_state.oracle import OracleClient

ROW = """
name: row
nodes: {a: , b: , c: , d: {external: true}}
links:
  - {endpoints: [a, b], length: 10 km}
  - {endpoints: [b, c], length: 10 km}
  - {endpoints: [c, d], length: 10 km}
"""


class Nature:
    """An oracle of a lab in real time to which everything can be done."""

    mode, scale = "real-time", 1.0

    async def now(self) -> float:
        return 1.0

    async def nothing(self, *arguments: object) -> None:
        """Do what is asked."""

    intervene = change_link = set_link = attach_tap = detach_tap = nothing


class Told:
    """A conductor who keeps what each node is told; those who are ``deaf`` do not confirm it."""

    def __init__(self) -> None:
        self.orders: list[dict[str, tuple[set[str], tuple[str, ...]]]] = []
        self.deaf: set[str] = set()
        self.hangs: asyncio.Event | None = None

    async def reroute(self, orders: Mapping[str, ChangeChannels]) -> set[str]:
        self.orders.append(
            {node: ({way.node for way in order.ways}, order.severed) for node, order in orders.items()}
        )
        if self.hangs is not None:
            self.hangs.set()
            await asyncio.Event().wait()
        return self.deaf & orders.keys()

    def states(self) -> dict[str, str]:
        """Return that all are there."""
        return dict.fromkeys("abcd", "ready")


class Processes:
    """No node is stopped."""

    paused: frozenset[str] = frozenset()


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    """Four nodes in a row."""
    file = tmp_path / "row.yaml"
    file.write_text(ROW)
    return plan(load(file), mode="real-time")


@pytest.fixture
def told() -> Told:
    """Return who keeps what nodes are told."""
    return Told()


@pytest.fixture
def warnings() -> list[str]:
    """Return what the user is warned of."""
    return []


@pytest.fixture
def interventions(planned: Plan, told: Told, warnings: list[str]) -> Interventions:
    """Return what is done to a lab of which there is nothing but what nodes are told."""
    nobody: Any = lambda *arguments: None  # noqa: E731 - in place of three callbacks
    return Interventions(
        planned,
        cast(OracleClient, Nature()),
        cast(Conductor, told),
        cast(NodeProcesses, Processes()),
        nobody,
        nobody,
        warnings.append,
    )


async def test_a_partition_changes_no_way_and_none_is_told(interventions: Interventions, told: Told) -> None:
    await interventions.partition([["a"]])
    assert told.orders == [
        {"a": (set(), ("b", "c", "d")), "b": (set(), ("a",)), "c": (set(), ("a",)), "d": (set(), ("a",))}
    ]
    await interventions.heal()
    assert told.orders[1] == dict.fromkeys("abcd", (set(), ()))


async def test_a_longer_link_is_told_to_those_whose_messages_pass_it_and_once(
    interventions: Interventions, told: Told
) -> None:
    await interventions.change_link("a-b", {"length": "20 km"})
    far = {"b", "c", "d"}
    assert told.orders == [{"a": (far, ()), "b": ({"a"}, ()), "c": ({"a"}, ()), "d": ({"a"}, ())}]
    await interventions.partition([["d"]])
    assert {ways == set() for ways, _ in told.orders[1].values()} == {True}


async def test_who_has_not_confirmed_is_told_everything_the_next_time(
    interventions: Interventions, told: Told
) -> None:
    told.deaf = {"d"}
    await interventions.change_link("a-b", {"length": "20 km"})
    told.deaf = set()
    await interventions.reset_link("a-b")
    assert told.orders[1]["d"] == ({"a", "b", "c"}, ()), "it may have heard of the longer link or not"
    assert told.orders[1]["c"] == ({"a"}, ())
    await interventions.change_link("b-c", {"length": "20 km"})
    assert told.orders[2]["d"] == ({"a", "b"}, ())


async def test_who_begins_knows_all_ways_as_they_are(
    interventions: Interventions, told: Told, planned: Plan
) -> None:
    told.deaf = {"d"}
    await interventions.change_link("a-b", {"length": "20 km"})
    told.deaf = set()
    channels, severed = interventions.channels("d")
    assert channels.keys() == {"a", "b", "c"}
    assert channels["a"] != planned.nodes["d"].channels["a"]
    assert severed == ()
    await interventions.partition([["a"]])
    assert told.orders[1]["d"] == (set(), ("a",))


async def test_an_eavesdropper_that_sits_beyond_the_end_is_judged_by_the_link_as_it_is_then(
    interventions: Interventions,
) -> None:
    await interventions.change_link("a-b", {"length": "5 km"})
    with pytest.raises(UsageError, match="beyond the end of link 'a-b'; write 5 km or less"):
        await interventions.attach_eve("a-b", at="9 km")
    attaching = asyncio.ensure_future(interventions.attach_eve("a-b", at="9 km", when=1.2))
    await interventions.reset_link("a-b")
    assert await attaching == "eve"


async def test_an_eavesdropper_has_the_name_that_it_is_given(interventions: Interventions) -> None:
    assert await interventions.attach_eve("a-b", name="mallory") == "mallory"
    with pytest.raises(UsageError, match="there is an eavesdropper 'mallory' already"):
        await interventions.attach_eve("b-c", name="mallory")
    with pytest.raises(UsageError, match="'no name' is no name of an eavesdropper; write one like eve-2"):
        await interventions.attach_eve("b-c", name="no name")
    await interventions.detach_eve("mallory")
    assert await interventions.eves() == []


async def test_of_who_does_not_confirm_the_user_is_warned(
    interventions: Interventions, told: Told, warnings: list[str]
) -> None:
    told.deaf = {"c"}
    await interventions.partition([["a"]])
    [warning] = warnings
    assert warning.startswith("c did not answer what has changed for their messages")


async def test_what_was_to_be_told_when_it_was_called_off_is_told_the_next_time(
    interventions: Interventions, told: Told
) -> None:
    told.hangs = asyncio.Event()
    changing = asyncio.ensure_future(interventions.change_link("a-b", {"length": "20 km"}))
    await told.hangs.wait()
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing
    told.hangs = None
    await interventions.change_link("c-d", {"insertion_loss": "3 dB"})
    assert told.orders[1]["c"] == ({"a", "b", "d"}, ())


async def test_who_comes_is_told_what_it_does_not_know(interventions: Interventions, told: Told) -> None:
    await interventions.catch_up("d")
    assert told.orders == [], "it knows the lab file, and so it is"
    told.deaf = {"a", "d"}
    await interventions.partition([["a"]])
    told.deaf = set()
    await interventions.catch_up("b")
    assert len(told.orders) == 1
    await interventions.catch_up("d")
    assert told.orders[1]["d"][1] == ("a",)
    await interventions.catch_up("d")
    assert told.orders[2] == {"d": ({"a", "b", "c"}, ("a",))}, "it is another process, which nobody has told"


async def test_all_nodes_hear_from_a_later_control_party_that_the_lab_is_as_its_file_says(
    interventions: Interventions, told: Told
) -> None:
    told.deaf = {"d"}
    await interventions.succeed()
    assert told.orders == [{node: (set("abcd") - {node}, ()) for node in "abcd"}]
    await interventions.catch_up("d")
    assert told.orders[1] == {"d": ({"a", "b", "c"}, ())}
