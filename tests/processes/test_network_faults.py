"""Requests for pairs in labs of real processes: repeaters are killed and links cut while they are served."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deploy.errors import DeployError
from deploy.jobs import Job
from deploy.plan import Plan, plan
from deploy.topology import find, load
from nodes.link.service import Failure

if TYPE_CHECKING:
    from deploy.laboratory import Laboratory
    from shared_state.config import ClockMode
    from tests.processes.conftest import Eventually, Lab

pytestmark = pytest.mark.processes

DEMANDS = str(Path(__file__).parents[1] / "nodes" / "runtime" / "shared_demands.py")
BOTH_CLOCKS = pytest.mark.parametrize("mode", ["virtual", "real-time"])
MANY = 500
LEAVING = 2.0
"""Emulated seconds from the deadline until an end has left, at most: in real time it may wait a second for the tail."""


def planned(lab: str, mode: ClockMode) -> Plan:
    """Plan a ready lab with one of the clocks."""
    return replace(plan(load(find(lab)), default_mode=mode), broker="embedded")


def pid_of(lab: Laboratory, name: str) -> int:
    """Return the id of a lab's process."""
    return next(status.pid for status in lab.status() if status.name == name)


async def request(
    lab: Laboratory, first: str, last: str, number: int = 1, within: float = 0.0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Request pairs that are given up as they come; return what either end tells."""
    given = {"number": str(number), "within": str(within), "pause": "0.002"}
    result = await lab.run(Job(DEMANDS, {"alice": first, "bob": last}, parameters=given))
    (mine,), (its,) = result.returned[0]["alice"], result.returned[0]["bob"]
    return mine, its


def check_all_came(mine: dict[str, Any], its: dict[str, Any], number: int) -> None:
    """Fail unless both ends have had the same pairs in one order, and all."""
    assert (mine["failure"], its["failure"]) == ("", ""), (mine["reason"], its["reason"])
    assert len(mine["pairs"]) == number
    assert mine["pairs"] == its["pairs"]


async def check_nothing_is_held(lab: Laboratory, eventually: Eventually) -> None:
    """Fail unless no qubit of a run that is over is in any memory."""

    async def nothing() -> bool:
        census = await lab.census()
        return census.qubits == census.reserved == census.handed_over == census.waiting == 0

    await eventually(nothing)


@BOTH_CLOCKS
async def test_repeaters_are_killed_one_after_the_other_until_no_way_is_left(
    lab: Lab, eventually: Eventually, mode: ClockMode
) -> None:
    """In a grid of nine, each time the one in the middle of the way that pairs take, while they come."""
    async with lab(planned("grid-3x3", mode)) as running:
        for moment in (0.3, 0.6):
            mine, its = await request(running, "n11", "n33")
            victim = mine["paths"][0][2]
            asked = asyncio.create_task(request(running, "n11", "n33", MANY))
            await asyncio.sleep(moment)
            assert not asked.done()
            os.kill(pid_of(running, victim), signal.SIGKILL)
            mine, its = await asked
            check_all_came(mine, its, MANY)
            assert victim not in mine["paths"][-1]
            await check_nothing_is_held(running, eventually)
        mine, its = await request(running, "n11", "n33")
        victim = mine["paths"][0][2]
        asked = asyncio.create_task(request(running, "n11", "n33", 100 * MANY, within=3.0))
        await asyncio.sleep(0.2)
        os.kill(pid_of(running, victim), signal.SIGKILL)
        mine, its = await asked
        assert mine["failure"] == its["failure"]
        assert mine["failure"] in (Failure.NODE_GONE, Failure.TIMEOUT)
        assert f"node '{victim}' has left" in mine["reason"]
        assert mine["ended_at"] < mine["times"][0] + 3.0 + LEAVING
        await check_nothing_is_held(running, eventually)
        check_all_came(*await request(running, "n11", "n21"), 1)


@BOTH_CLOCKS
async def test_links_are_cut_while_pairs_come_and_mended(
    lab: Lab, eventually: Eventually, mode: ClockMode
) -> None:
    async with lab(planned("ring-6", mode)) as running:
        ways = 0
        for moment, position in ((0.2, 0), (0.3, 1), (0.4, 2), (0.5, 1)):
            mine, its = await request(running, "n1", "n4")
            way = mine["paths"][0]
            link = "-".join(sorted((way[position], way[position + 1])))
            name = next(
                name for name in running.plan.world.links if "-".join(sorted(name.split("-"))) == link
            )
            asked = asyncio.create_task(request(running, "n1", "n4", MANY))
            await asyncio.sleep(moment)
            assert not asked.done()
            await running.set_link(name, False)
            mine, its = await asked
            check_all_came(mine, its, MANY)
            assert mine["paths"][-1] != way
            ways = max(ways, len(mine["paths"]))
            await check_nothing_is_held(running, eventually)
            await running.set_link(name, True)
        assert ways == 2


async def test_a_repeater_killed_as_the_run_begins_ends_it_by_name_or_is_gone_around(
    lab: Lab, eventually: Eventually
) -> None:
    """Until it has said that it takes part, a repeater cannot be done without."""
    for moment in (0.0, 0.01, 0.03):
        async with lab(planned("ring-6", "virtual")) as running:
            asked = asyncio.create_task(request(running, "n1", "n4", MANY))
            await asyncio.sleep(moment)
            os.kill(pid_of(running, "n2"), signal.SIGKILL)
            try:
                check_all_came(*await asked, MANY)
            except DeployError as error:
                assert "'n2'" in str(error)  # noqa: PT017
            await check_nothing_is_held(running, eventually)
            check_all_came(*await request(running, "n1", "n4", 10), 10)
