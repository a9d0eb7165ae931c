"""What the referee is given it keeps until it is done with it, and not without end."""

from __future__ import annotations

import asyncio
import logging

import numpy as np
import pytest

from shared_state.client import NodeClient
from shared_state.errors import BadRequest, LimitExceeded
from shared_state.oracle import OracleClient


async def given(node: NodeClient, run: str) -> int:
    qubit = await node.qubit(0.0, run)
    await node.hand_over(0.0, [qubit])
    return qubit


async def test_what_was_handed_over_in_a_run_is_discarded_with_it(
    alice: NodeClient, charlie: NodeClient, oracle: OracleClient
) -> None:
    for run in ("run-1", "run-1", "run-1/swap", "run-1/swap/2"):
        await given(alice, run)
    others = [await given(charlie, run) for run in ("run-10", "run-10/swap", "other/run-1", "run")]
    await given(charlie, "run-1")
    assert await oracle.discard_run("run-1") == 5
    assert await oracle.discard_run("run-1") == 0
    census = await oracle.census()
    assert (census.handed_over, census.qubits) == (4, 4)
    ground = np.eye(16, dtype=np.complex128)[0]
    assert await oracle.fidelity(others, ground) == pytest.approx(1)


async def test_what_was_handed_over_in_other_runs_than_some_is_discarded_at_once(
    alice: NodeClient, oracle: OracleClient
) -> None:
    for run in ("run-1", "run-1/swap", "run-10", "run-2", "run"):
        await given(alice, run)
    assert await oracle.discard_others(["run-1", "run-3"]) == 3
    assert await oracle.discard_run("run-1") == 2
    assert await oracle.discard_others([]) == 0


async def test_what_the_nodes_still_hold_is_not_the_referees_to_discard(
    alice: NodeClient, oracle: OracleClient
) -> None:
    qubit = await alice.qubit(0.0, "run")
    assert await oracle.discard_run("run") == 0
    assert await alice.measure(0.0, qubit, "Z") == 0


async def test_each_node_may_leave_so_many_qubits_with_the_referee(
    alice: NodeClient, charlie: NodeClient, oracle: OracleClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_state.ledger.MAX_HANDED_OVER", 3)
    first = [await given(alice, "run") for _ in range(2)]
    more = [await alice.qubit(0.0, "run") for _ in range(2)]
    with pytest.raises(LimitExceeded, match="4 qubits of alice"):
        await alice.hand_over(0.0, more)
    await given(charlie, "run")
    assert (await oracle.census()).held["alice"] == 2  # a refused gift is still the giver's
    await oracle.discard(first)
    await alice.hand_over(0.0, more)
    assert (await oracle.census()).handed_over == 3


async def test_a_qubit_named_twice_is_the_askers_mistake(
    alice: NodeClient, oracle: OracleClient, caplog: pytest.LogCaptureFixture
) -> None:
    qubit = await given(alice, "run")
    target = np.eye(4, dtype=np.complex128)[0]
    with caplog.at_level(logging.ERROR):
        for request in (
            oracle.density_matrix([qubit, qubit]),
            oracle.fidelity([qubit, qubit], target),
            oracle.discard([qubit, qubit]),
        ):
            with pytest.raises(BadRequest, match="not all different"):
                await request
    assert caplog.records == []
    await oracle.discard([qubit])


async def test_an_answer_that_the_oracle_no_longer_waits_for_does_no_harm(
    alice: NodeClient, oracle: OracleClient
) -> None:
    qubit = await given(alice, "run")
    asked = asyncio.ensure_future(oracle.discard([qubit]))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    assert (await oracle.census()).qubits == 0
    assert await oracle.discard_run("run") == 0
