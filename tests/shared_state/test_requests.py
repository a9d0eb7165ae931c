"""What a session asks for, what it is told, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

import numpy as np
import pytest

from shared_state.client import NodeClient
from shared_state.config import ServerConfig
from shared_state.errors import (
    BadRequest,
    ClusterTooLarge,
    InternalError,
    LimitExceeded,
    NameInUse,
    NoFreeMemory,
    NotYours,
    PeerLeftRun,
    PulseMismatch,
    RunClosed,
    ServerLost,
    SharedStateError,
    TimeReversed,
)
from shared_state.oracle import OracleClient
from shared_state.service import Service
from shared_state.session import MAX_WAITING
from shared_state.world.keeping import Keeping


async def census_is_zero(oracle: OracleClient) -> bool:
    census = await oracle.census()
    return not (
        census.qubits + sum(census.held.values()) + census.reserved + census.in_flight + census.waiting
    )


async def test_teleportation_is_exact(alice: NodeClient, charlie: NodeClient, oracle: OracleClient) -> None:
    for run in "abcdefgh":
        hers, his = await asyncio.gather(
            alice.pair(0.0, run, "alice-charlie"), charlie.pair(0.0, run, "alice-charlie")
        )
        assert (hers.pair, hers.time) == (his.pair, his.time)
        psi = await alice.qubit(hers.time, run)
        alice.gate(hers.time, "ry", [psi], 0.7)
        x, z = await alice.bell_measure(hers.time, psi, hers.qubit)
        for outcome, gate in ((x, "x"), (z, "z")):
            if outcome:
                charlie.gate(his.time, gate, [his.qubit])
        await charlie.sync()
        target = np.array([np.cos(0.35), np.sin(0.35)], dtype=np.complex128)
        assert await oracle.fidelity([his.qubit], target) == pytest.approx(1, abs=1e-9)
        await charlie.close_run(run)


async def test_a_failed_gate_surfaces_at_the_next_answer_and_names_itself(alice: NodeClient) -> None:
    qubit = await alice.qubit(0.0, "run")
    alice.gate(0.0, "hadamard", [qubit])
    alice.gate(0.0, "x", [qubit])
    with pytest.raises(BadRequest, match=r"gate hadamard: .*no gate") as failed:
        await alice.measure(0.0, qubit, "Z")
    assert failed.value.operation == "gate hadamard"
    assert await alice.measure(0.0, qubit, "Z") == 1  # it was not measured then, and is told once


async def test_a_failed_gate_does_not_disturb_another_run(alice: NodeClient) -> None:
    one, other = await alice.qubit(0.0, "one"), await alice.qubit(0.0, "other")
    alice.gate(0.0, "rx", [one])
    assert await alice.measure(0.0, other, "Z") == 0
    with pytest.raises(BadRequest, match="one finite angle"):
        await alice.measure(0.0, one, "Z")


async def test_closing_a_run_cleans_up_and_still_reports_its_failed_gate(
    alice: NodeClient, oracle: OracleClient
) -> None:
    qubit = await alice.qubit(0.0, "run")
    alice.unitary(0.0, np.array([[1, 1], [0, 1]], dtype=np.complex128), [qubit])
    with pytest.raises(BadRequest, match=r"unitary: .*not unitary"):
        await alice.close_run("run")
    assert await census_is_zero(oracle)


@pytest.mark.parametrize(
    ("word", "arguments"),
    [
        ("clone", [0]),
        ("measure", [0.0, 0]),
        ("measure", [0.0, 0, "W"]),
        ("measure", [-1.0, 0, "Z"]),
        ("measure", [float("nan"), 0, "Z"]),
        ("measure", [0.0, "0", "Z"]),
        ("qubit", [True, "run"]),
        ("qubit", [0.0, "r" * 257]),
        ("hand_over", [0.0, []]),
        ("pair", [0.0, "run", "charlie-bob", None]),
        ("pair", [0.0, "run", "alice-charlie"]),
        ("measure_pulses", [0.0, "run", "alice-charlie", [9, b"\0"]]),
    ],
)
async def test_a_wrong_request_is_refused_and_the_session_goes_on(
    word: str, arguments: list[float | str], alice: NodeClient
) -> None:
    with pytest.raises(BadRequest, match=word):
        await alice._line.ask(word, *arguments)
    assert await alice.measure(0.0, await alice.qubit(0.0, "run"), "Z") == 0


async def test_the_same_qubit_twice_is_refused(alice: NodeClient) -> None:
    qubit = await alice.qubit(0.0, "run")
    with pytest.raises(BadRequest, match="different"):
        await alice.bell_measure(0.0, qubit, qubit)


async def test_memories_are_counted_and_their_users_named(alice: NodeClient, charlie: NodeClient) -> None:
    await alice.qubit(0.0, "first")
    await alice.qubit(0.0, "first")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(alice.receive(0.0, "second", "alice-charlie"))
        await alice.qubit(0.0, "first")
        with pytest.raises(NoFreeMemory, match=r"all 4 memories of alice.*'first' \(3\), 'second' \(1\)"):
            await alice.pair(0.0, "third", "alice-charlie")
        qubit = await charlie.qubit(0.0, "second")
        await charlie.transmit(0.0, "second", "alice-charlie", qubit)
        assert (await waiting).qubit is not None


async def test_a_cluster_beyond_the_limit_is_refused_in_the_ids_of_the_asker(config: ServerConfig) -> None:
    small = replace(config, world=replace(config.world, max_qubits=2))
    alice = await NodeClient.local(Service(small, lambda: 0.0), name="alice")
    a, b, c = [await alice.qubit(0.0, "run") for _ in range(3)]
    alice.gate(0.0, "cnot", [a, b])
    alice.gate(0.0, "cnot", [b, c])
    with pytest.raises(ClusterTooLarge, match=rf"gate cnot: the qubits {b}, {c} .*max_qubits is 2"):
        await alice.sync()


async def test_virtual_time_does_not_run_backwards(alice: NodeClient) -> None:
    qubit = await alice.qubit(1.0, "run")
    with pytest.raises(TimeReversed):
        await alice.measure(0.5, qubit, "Z")


async def test_pairs_are_matched_first_come_first_served_within_a_run(
    alice: NodeClient, charlie: NodeClient
) -> None:
    link = "alice-charlie"
    async with asyncio.TaskGroup() as tasks:
        hers = [tasks.create_task(alice.pair(0.0, run, link)) for run in ("red", "blue", "red")]
        his = [tasks.create_task(charlie.pair(0.0, run, link)) for run in ("blue", "red", "red")]
    ids = [task.result().pair for task in hers], [task.result().pair for task in his]
    assert ids[0] == [ids[1][1], ids[1][0], ids[1][2]]
    assert len(set(ids[0])) == 3


async def test_closing_a_run_leaves_nothing_of_it(
    alice: NodeClient, charlie: NodeClient, oracle: OracleClient
) -> None:
    link = "alice-charlie"
    await asyncio.gather(alice.pair(0.0, "run", link), charlie.pair(0.0, "run", link))
    await charlie.transmit(0.0, "run", link, await charlie.qubit(0.0, "run"))
    bits = np.ones(8, dtype=np.uint8)
    await charlie.emit_pulses(0.0, "run", link, bits, bits)
    async with asyncio.TaskGroup() as tasks:
        own = tasks.create_task(_raised(alice.pair(0.0, "run", link)))
        await alice.sync()
        assert await alice.close_run("run") == 1
        assert isinstance(await own, RunClosed)
    with pytest.raises(PeerLeftRun, match="alice") as left:
        await charlie.transmit(0.0, "run", link, await charlie.qubit(0.0, "run"))
    assert left.value.node == "alice"
    with pytest.raises(RunClosed):
        await alice.qubit(0.0, "run")
    assert await charlie.close_run("run") == 2
    assert await census_is_zero(oracle)


async def test_who_waits_for_a_node_that_leaves_the_run_is_told(
    alice: NodeClient, charlie: NodeClient
) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_raised(charlie.receive(0.0, "run", "alice-charlie")))
        await charlie.sync()
        await alice.close_run("run")
        assert isinstance(await waiting, PeerLeftRun)


async def test_what_was_sent_before_the_run_was_closed_arrives(
    alice: NodeClient, charlie: NodeClient
) -> None:
    await alice.transmit(0.0, "run", "alice-charlie", await alice.qubit(0.0, "run"))
    await alice.close_run("run")
    assert (await charlie.receive(0.0, "run", "alice-charlie")).qubit is not None
    with pytest.raises(PeerLeftRun):
        await charlie.receive(0.0, "run", "alice-charlie")


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancelled_request_leaks_nothing_whenever_it_is_cancelled(
    turns: int, alice: NodeClient, charlie: NodeClient, oracle: OracleClient
) -> None:
    async with asyncio.TaskGroup() as tasks:
        hers = tasks.create_task(alice.pair(0.0, "run", "alice-charlie"))
        his = tasks.create_task(charlie.pair(0.0, "run", "alice-charlie"))
        for _ in range(turns):
            await asyncio.sleep(0)
        hers.cancel()
        await alice.sync()
        his.cancel()
        await charlie.sync()
    assert hers.cancelled() or turns > 4
    for client, task in ((alice, hers), (charlie, his)):
        if not task.cancelled():
            await client.discard(1.0, task.result().qubit)
    assert await census_is_zero(oracle)


async def test_so_many_requests_may_wait_and_no_more(alice: NodeClient) -> None:
    bases = np.zeros(1, dtype=np.uint8)
    async with asyncio.TaskGroup() as tasks:
        waiting = [
            tasks.create_task(_raised(alice.measure_pulses(0.0, "run", "alice-charlie", bases)))
            for _ in range(MAX_WAITING + 1)
        ]
        assert isinstance(await waiting[-1], LimitExceeded)
        await alice.close_run("run")


async def test_the_wrong_number_of_bases_names_both_numbers(alice: NodeClient, charlie: NodeClient) -> None:
    bits, bases = np.zeros(10, dtype=np.uint8), np.zeros(9, dtype=np.uint8)
    await alice.emit_pulses(0.0, "run", "alice-charlie", bits, bits)
    with pytest.raises(PulseMismatch, match=r"alice emitted 10 pulses and charlie measured with 9"):
        await charlie.measure_pulses(0.0, "run", "alice-charlie", bases)


async def test_thousands_of_posted_gates_are_not_kept_for_repetition(alice: NodeClient) -> None:
    qubit = await alice.qubit(0.0, "run")
    for _ in range(50):
        for _ in range(101):
            alice.gate(0.0, "x", [qubit])
        await asyncio.sleep(0)
    assert alice._line._conversation.unapplied < 1500
    assert await alice.measure(0.0, qubit, "Z") == 0


async def test_a_fault_of_the_server_is_reported_and_ends_nothing(
    alice: NodeClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    qubit = await alice.qubit(0.0, "run")
    with monkeypatch.context() as patch:
        patch.setattr(Keeping, "check_partner", broken)
        with pytest.raises(InternalError, match="a bug"):
            await alice.measure(0.0, qubit, "Z")
    assert "request measure of alice" in caplog.text
    assert await alice.measure(0.0, qubit, "Z") == 0


async def test_a_name_that_is_connected_is_in_use(alice: NodeClient, service: Service) -> None:
    with pytest.raises(NameInUse, match="alice"):
        await NodeClient.local(service, name="alice")
    await alice.sync()


async def test_a_closed_client_says_so(service: Service) -> None:
    alice = await NodeClient.local(service, name="alice")
    await alice.close()
    await alice.close()
    with pytest.raises(ServerLost, match="closed the session"):
        await alice.sync()
    assert not alice.lost.done()


async def test_a_qubit_has_another_id_at_its_next_holder(alice: NodeClient, charlie: NodeClient) -> None:
    sent = await alice.qubit(0.0, "run")
    alice.gate(0.0, "x", [sent])
    await alice.transmit(0.0, "run", "alice-charlie", sent)
    arrival = await charlie.receive(0.0, "run", "alice-charlie")
    assert arrival.time == pytest.approx(1000 / 2e8)
    assert arrival.qubit is not None
    with pytest.raises(NotYours):
        await charlie.measure(1.0, sent, "Z")
    assert await charlie.measure(1.0, arrival.qubit, "Z") == 1


async def _raised(request: Awaitable[object]) -> SharedStateError | None:
    try:
        await request
    except SharedStateError as error:
        return error
    return None
