"""A client under test: its server, or the whole quantum world, is killed half-way, and no answer is lost or doubled."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError

if TYPE_CHECKING:
    from deploy.testing.lab import LabUnderTest

LAB = """
name: questions
nodes: {client: , server: }
links:
  - {endpoints: [client, server], length: 20 km}
"""
QUESTIONS = 400
HALF_WAY = 50

pytestmark = [pytest.mark.processes, pytest.mark.lab(LAB)]
with_a_journal = pytest.mark.lab(LAB, overrides={"runtime": {"journal": "on"}})


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """The file in which the client notes answers."""
    return tmp_path / "answers"


async def half_way(lab: LabUnderTest) -> None:
    """Wait until the client has had some answers."""
    had = count()
    await lab.events.wait_for(
        "message.delivered", node="client", where=lambda _: next(had) >= HALF_WAY, within=30
    )


def check(answers: Path) -> int:
    """Fail unless all answers are what the client has measured, too; return how many there are."""
    lines = answers.read_text().splitlines()
    assert set(lines) <= {"0 0", "1 1"}
    return len(lines)


async def test_when_the_server_is_killed_the_client_hears_it_by_name_and_goes_on_when_it_is_back(
    lab: LabUnderTest, answers: Path
) -> None:
    running = asyncio.create_task(lab.run("./questions.py", rounds=QUESTIONS, answers=answers))
    await half_way(lab)
    await lab.node("server").kill()
    with pytest.raises(DeployError, match="'server' was ended by signal 9"):
        await running
    had = check(answers)
    assert HALF_WAY <= had < QUESTIONS

    await lab.node("server").resume()
    await lab.run("./questions.py", rounds=QUESTIONS - had, answers=answers)
    assert check(answers) == QUESTIONS


@with_a_journal
async def test_when_the_quantum_world_dies_and_has_a_journal_nobody_notices(
    lab: LabUnderTest, answers: Path
) -> None:
    running = asyncio.create_task(lab.run("./questions.py", rounds=QUESTIONS, answers=answers))
    await half_way(lab)
    await lab.server.kill()
    await running
    assert check(answers) == QUESTIONS
    assert (await lab.server.status()).restarts == 1


async def test_when_the_quantum_world_dies_for_good_the_client_is_told_so(
    lab: LabUnderTest, answers: Path
) -> None:
    running = asyncio.create_task(lab.run("./questions.py", rounds=QUESTIONS, answers=answers))
    await half_way(lab)
    await lab.server.kill()
    with pytest.raises(DeployError, match="process 'state' was ended by signal 9"):
        await running
    assert HALF_WAY <= check(answers) < QUESTIONS
