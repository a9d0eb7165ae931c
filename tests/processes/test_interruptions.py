"""Ctrl-C and SIGTERM end a command, and everything that it has started; nothing is left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire, Program

pytestmark = pytest.mark.processes

WAITS = """
import os
from nodes.ports import Clock

async def alice(clock: Clock) -> None:
    os.write(1, b"begun\\n")
    await __import__("asyncio").Event().wait()

async def bob(clock: Clock) -> None:
    pass
"""
ENDS = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


def interrupt(pid: int, number: signal.Signals) -> None:
    """Do what a terminal does on Ctrl-C, to the whole process group; SIGTERM goes to one process."""
    if number == signal.SIGINT:
        os.killpg(pid, number)
    else:
        os.kill(pid, number)


@ENDS
def test_a_lab_that_is_up_ends(
    bellwire: Bellwire, lab_on: Callable[[str], str], broker: str, number: signal.Signals, code: int
) -> None:
    lab = bellwire.start("up", lab_on(broker))
    bellwire.wait_until_up(lab)
    interrupt(lab.pid, number)
    out, complaint = lab.communicate(timeout=20)
    assert (lab.returncode, out) == (code, ""), complaint
    assert "everything that this command started has been ended" in complaint
    assert "Traceback" not in complaint


@ENDS
def test_a_long_job_ends(
    bellwire: Bellwire,
    lab_on: Callable[[str], str],
    broker: str,
    program: Program,
    number: signal.Signals,
    code: int,
) -> None:
    job = bellwire.start("run", program(WAITS), "--lab", lab_on(broker))
    bellwire.wait_for(
        lambda: any("begun" in log.read_text() for log in bellwire.home.glob("runs/*/logs/alice.log"))
    )
    interrupt(job.pid, number)
    out, complaint = job.communicate(timeout=20)
    assert (job.returncode, out) == (code, ""), complaint
    assert "everything that this command started has been ended" in complaint
    assert "Traceback" not in complaint


def test_a_job_on_a_lab_that_is_up_ends_there_when_its_command_does(
    bellwire: Bellwire, program: Program
) -> None:
    assert bellwire("up", "alice-bob", "-d").code == 0
    job = bellwire.start("run", program(WAITS), "-l", "alice-bob")
    log = bellwire.home / "labs" / "alice-bob" / "logs" / "alice.log"
    bellwire.wait_for(lambda: "begun" in log.read_text())
    interrupt(job.pid, signal.SIGINT)
    assert job.wait(20) == 130
    bellwire.wait_for(lambda: "run.closed" in log.read_text())
    assert bellwire("run", "teleport", "-l", "alice-bob").code == 0
    assert bellwire("down").code == 0
