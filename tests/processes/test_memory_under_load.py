"""What a memory does to a pair depends on emulated time alone: on a loaded machine it is the closed form, exactly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING

import pytest

from deploy.jobs import Job
from shared_state.validation.memory import stored

if TYPE_CHECKING:
    from pathlib import Path

    from shared_state.validation.memory import Sides
    from tests.processes.conftest import Lab, Program

pytestmark = pytest.mark.processes

BURNERS = 2

HOLD = """
from typing import Annotated
from nodes.network.swap import PHI_PLUS
from nodes.ports import Clock, HalfWith, Qubit, Referee

async def one(half: Annotated[Qubit, HalfWith("other")], clock: Clock, seconds: float = 0.0) -> Qubit:
    await clock.sleep(seconds)
    return half

async def other(half: Annotated[Qubit, HalfWith("one")], clock: Clock, seconds: float = 0.0) -> Qubit:
    await clock.sleep(seconds)
    return half

async def referee(oracle: Referee, one: Qubit, other: Qubit) -> dict[str, float]:
    return {"fidelity": await oracle.fidelity([one, other], PHI_PLUS)}
"""

LAB = """
name: kept
runtime: {broker: embedded}
nodes:
  alice: {memories: {t1: 10 s, t2: 1 s}}
  bob: {memories: {t1: 10 s, t2: 1 s}}
  carol: {memories: {t1: 2.68 ms, t2: 1 ms}}
  dave: {memories: {t2: 3.5 ms}}
links:
  - {endpoints: [alice, bob], length: 20 km}
  - {endpoints: [carol, dave], length: 20 km}
"""
PAIRS: dict[tuple[str, str], Sides] = {
    ("alice", "bob"): ((10.0, 1.0), (10.0, 1.0)),
    ("carol", "dave"): ((2.68e-3, 1e-3), (inf, 3.5e-3)),
}
"""T1 and T2 in seconds at both ends; carol and dave have an electron and a carbon spin (Dahlberg et al. 2019)."""
TIMES = (0.0, 1e-5, 1e-3, 0.01, 0.1, 0.5, 1.0, 2.0, 20.0)


@contextmanager
def loaded_machine() -> Iterator[None]:
    """Keep as many processors busy as there are burners, inside the block."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BURNERS)]
    try:
        yield
        assert [burner.poll() for burner in burners] == [None] * BURNERS  # the load has lasted
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


async def test_stored_pairs_have_the_fidelity_of_t1_and_t2_to_1e_9_beside_two_busy_loops(
    lab: Lab, program: Program, tmp_path: Path
) -> None:
    file = tmp_path / "kept.yaml"
    file.write_text(LAB)
    hold = program(HOLD, "hold")
    with loaded_machine():
        async with lab(file) as running:
            for (one, other), sides in PAIRS.items():
                for seconds in TIMES:
                    casting, given = {"one": one, "other": other}, {"seconds": repr(seconds)}
                    run = await running.run(Job(hold, casting, rounds=3, parameters=given))
                    # the herald comes to both ends with the pair, and both keep their half for the same time after it
                    expected = stored(seconds, sides, equal_bits=True)
                    assert run.figures["fidelity_mean"] == pytest.approx(expected, abs=1e-9), (one, seconds)
                    assert run.figures["fidelity_stderr"] == pytest.approx(0.0, abs=1e-9)
                    assert run.duration >= 3 * seconds
