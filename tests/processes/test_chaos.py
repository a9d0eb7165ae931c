"""Chaos in a lab at work: whatever fails meanwhile is told, and when it is over nothing is broken and nothing left."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.chaos import Taken, schedule, unleash
from deploy.errors import DeployError
from deploy.jobs import Job
from deploy.plan import plan
from deploy.topology import find, load

if TYPE_CHECKING:
    from tests.processes.conftest import Eventually, Lab

pytestmark = pytest.mark.processes

PAIRS = Job("entangle", {"alice": "alice", "bob": "bob"}, 5, deadline=3.0)


def open_files() -> int:
    """Count the descriptors of this process."""
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))


async def test_a_lab_at_work_is_whole_after_chaos_and_holds_nothing(lab: Lab, eventually: Eventually) -> None:
    planned = replace(plan(load(find("alice-charlie-bob")), mode="real-time", seed=3), broker="embedded")
    steps, failed = schedule(planned, seed=4, duration=10.0, intensity=2.0), list[Taken]()
    assert {"kill", "pause", "partition", "set_link"} <= {step.what for step in steps}
    async with asyncio.timeout(120), lab(planned) as running:
        descriptors = open_files()
        before = await running.links()

        async def work() -> None:
            while True:
                with suppress(DeployError):  # told, not hung
                    await running.run(PAIRS)

        working = asyncio.ensure_future(work())
        await unleash(running, steps, lambda taken: failed.append(taken) if taken.error else None)
        working.cancel()
        await asyncio.wait([working])
        assert working.cancelled()
        assert failed == []
        assert await running.links() == before
        assert [eve.name for eve in await running.eves()] == ["eve"]
        assert {status.state for status in running.status()} == {"running", "ready"}

        async def nothing_is_held() -> bool:
            census = await running.census()
            return census.qubits == census.reserved == census.in_flight == census.waiting == 0

        await eventually(nothing_is_held)
        assert (await running.run(PAIRS)).rounds == 5
        assert open_files() <= descriptors


async def test_in_virtual_time_chaos_takes_its_emulated_time_and_hardly_any_other(lab: Lab) -> None:
    planned = replace(plan(load(find("alice-charlie-bob")), mode="virtual", seed=3), broker="embedded")
    steps, told = schedule(planned, seed=4, duration=600.0, intensity=0.2), list[Taken]()
    async with asyncio.timeout(60), lab(planned) as running:
        before = await running.links()
        await unleash(running, steps, told.append)
        assert len(told) == len(steps) > 100
        assert not any(taken.error for taken in told)
        assert await running.now() == pytest.approx(steps[-1].at)
        assert await running.links() == before
        assert (await running.run(PAIRS)).rounds == 5
