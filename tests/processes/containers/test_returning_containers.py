"""A container that comes back takes the place of the one before, of which the lab's supervisor keeps nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.laboratory import Laboratory
from deploy.plan import plan
from deploy.topology import find, load
from tests.benchmarks.footprints import descriptors

if TYPE_CHECKING:
    from tests.processes.containers.conftest import Engine

pytestmark = [
    pytest.mark.processes,
    pytest.mark.containers,
    pytest.mark.timeout(300),
]

POOLED = 2
"""So many more connections the engine's client may keep open for its next questions."""


async def test_no_descriptor_is_left_of_containers_that_were_killed(engine: Engine, tmp_path: Path) -> None:
    planned = plan(load(find("alice-bob")), mode="real-time", launcher="docker")
    async with Laboratory(planned, tmp_path) as lab:
        counts = []
        for _ in range(6):
            await lab.kill("bob")
            await lab.resume("bob")
            counts.append(descriptors(os.getpid()))
        assert counts[-1] <= counts[0] + POOLED, counts
