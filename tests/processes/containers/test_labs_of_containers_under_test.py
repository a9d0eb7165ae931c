"""The pytest plugin with --lab-launcher=docker: the same tests, and nothing left on the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.processes.containers.conftest import Engine

pytestmark = [
    pytest.mark.processes,
    pytest.mark.containers,
    pytest.mark.timeout(300),
]
pytest_plugins = ["pytester"]

TESTS = """
import pytest

LAB = "nodes: {alice: , bob: }\\nlinks:\\n  - {endpoints: [alice, bob], length: 20 km}\\n"
pytestmark = pytest.mark.lab(LAB, seed=7, scope="module")

async def test_it_runs_and_tells_events(lab):
    result = await lab.run("teleport", rounds=100)
    lab.stats.assert_fidelity(result, at_least=0.9)
    assert (await lab.events.wait_for("part.played", node="bob", after=0)).node == "bob"
    assert any("node.ready" in line for line in lab.node("alice").logs())

async def test_it_is_broken_and_mended(lab):
    await lab.node("alice").pause()
    await lab.node("alice").resume()
    await lab.node("bob").kill()
    await lab.link("alice-bob").down()

async def test_the_next_one_has_it_whole(lab):
    assert (await lab.run("teleport")).rounds == 1

async def test_the_quantum_world_dies(lab):
    await lab.server.kill()
    with pytest.raises(Exception, match="'state' was ended by signal 9"):
        await lab.events.wait_for("never.comes", within=30)

async def test_another_lab_comes_up_and_this_test_fails(lab):
    assert (await lab.run("teleport")).rounds == 2
"""


def test_tests_run_against_containers_and_leave_none(pytester: pytest.Pytester, engine: Engine) -> None:
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("--lab-launcher=docker", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=4, failed=1)
    said = result.stdout.str()
    assert "flake budget: 1 statistical assertion" in said
    assert ": log of alice" in said
    assert engine.left_over() == []
