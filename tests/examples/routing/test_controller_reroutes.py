"""A routing controller under test: when a link goes down it must lead pairs another way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError
from tests.examples.routing.controller import Controller

if TYPE_CHECKING:
    from deploy.testing.lab import LabUnderTest

pytestmark = [pytest.mark.processes, pytest.mark.lab("ring.yaml")]

ENDS = {"alice": "n1", "bob": "n3"}
SHORT, LONG = ("n1", "n2", "n3"), ("n1", "n6", "n5", "n4", "n3")
RING = {f"n{i}-n{i % 6 + 1}": (f"n{i}", f"n{i % 6 + 1}") for i in range(1, 7)}
PAIRS, SOME = 300, 10


@pytest.fixture
async def controller(lab: LabUnderTest) -> AsyncIterator[Controller]:
    """The controller, which answers for the lab."""
    controller = Controller(RING)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(controller.serve(lab.controller()))
        await controller.listens.wait()
        yield controller
        serving.cancel()


async def test_a_link_that_goes_down_while_pairs_come_is_gone_around(
    lab: LabUnderTest, controller: Controller
) -> None:
    running = asyncio.create_task(lab.run("entangle", roles=ENDS, rounds=PAIRS))
    had = count()
    await lab.events.wait_for("pair.delivered", node="n1", where=lambda _: next(had) >= SOME, within=30)
    await lab.link("n2-n3").down()
    result = await running

    paths = [tuple(each["alice"]["path"]) for each in result.returned]
    assert len(paths) == PAIRS
    assert (paths[0], paths[-1], set(paths)) == (SHORT, LONG, {SHORT, LONG})
    assert any("n2-n3" in asked["avoid_links"] for asked in controller.asked)
    assert (await lab.oracle.census()).qubits == 0


async def test_when_all_ways_are_cut_the_run_ends_with_what_is_cut_and_another_one_works_when_they_are_mended(
    lab: LabUnderTest, controller: Controller
) -> None:
    await lab.partition(["n3"], planes="quantum")
    with pytest.raises(DeployError, match=r"link-down: link 'n[23]-n[34]' is down"):
        await lab.run("entangle", roles=ENDS, rounds=PAIRS)
    await lab.heal()
    assert (await lab.run("entangle", roles=ENDS, rounds=3)).rounds == 3
