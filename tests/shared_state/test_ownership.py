"""Only the holder may act on a qubit, and nobody but the oracle may look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
import pytest

from shared_state.client import NodeClient
from shared_state.config import ClockConfig, MemoryConfig, NodeDevices, ServerConfig
from shared_state.errors import BadRequest, ClusterTooLarge, NoSuchQubit, NotYours, RequestError
from shared_state.oracle import OracleClient
from shared_state.service import Service
from shared_state.vocabulary import OPERATIONS

Act = Callable[[NodeClient, int, int], Awaitable[object]]


async def gate(node: NodeClient, qubit: int, _: int) -> None:
    node.gate(0.0, "x", [qubit])
    await node.sync()


async def second_qubit_of_a_gate(node: NodeClient, qubit: int, own: int) -> None:
    node.gate(0.0, "cnot", [own, qubit])
    await node.sync()


async def unitary(node: NodeClient, qubit: int, _: int) -> None:
    node.unitary(0.0, np.eye(2, dtype=np.complex128), [qubit])
    await node.sync()


ACTS: dict[str, Act] = {
    "gate": gate,
    "gate on the second qubit": second_qubit_of_a_gate,
    "unitary": unitary,
    "measure": lambda node, qubit, _: node.measure(0.0, qubit, "Z"),
    "bell_measure": lambda node, qubit, own: node.bell_measure(0.0, qubit, own),
    "bell_measure on the second qubit": lambda node, qubit, own: node.bell_measure(0.0, own, qubit),
    "discard": lambda node, qubit, _: node.discard(0.0, qubit),
    "transmit": lambda node, qubit, _: node.transmit(0.0, "run", "alice-charlie", qubit),
    "store": lambda node, qubit, _: node.store(0.0, qubit),
    "retrieve": lambda node, qubit, _: node.retrieve(0.0, qubit),
    "hand_over": lambda node, qubit, _: node.hand_over(0.0, [qubit]),
}


def test_every_operation_on_a_qubit_is_in_the_matrix() -> None:
    on_qubits = {
        word
        for word, operation in OPERATIONS.items()
        if operation.role == "node" and {"qubit", "qubits", "first"} & set(operation.takes)
    }
    assert on_qubits - {"cancel"} == {act.split()[0] for act in ACTS}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_a_qubit_of_another_node_is_out_of_reach(
    act: Act, alice: NodeClient, charlie: NodeClient, oracle: OracleClient
) -> None:
    hers, his = await alice.qubit(0.0, "run"), await charlie.qubit(0.0, "run")
    with pytest.raises(NotYours, match=rf"charlie does not hold qubit {hers}"):
        await act(charlie, hers, his)
    assert await oracle.fidelity([hers, his], np.array([1, 0, 0, 0], dtype=np.complex128)) == pytest.approx(1)


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_a_qubit_that_is_gone_is_out_of_reach_of_its_holder(act: Act, alice: NodeClient) -> None:
    gone, other = await alice.qubit(0.0, "run"), await alice.qubit(0.0, "run")
    await alice.measure(0.0, gone, "Z")
    with pytest.raises(NoSuchQubit, match=f"qubit {gone}"):
        await act(alice, gone, other)


async def test_whether_another_node_has_measured_cannot_be_asked(
    alice: NodeClient, charlie: NodeClient
) -> None:
    hers = await alice.qubit(0.0, "run")
    answers = []
    for _ in range(2):
        with pytest.raises(RequestError) as refused:
            await charlie.discard(0.0, hers)
        answers.append(str(refused.value))
        if len(answers) == 1:
            await alice.discard(0.0, hers)
    assert answers[0] == answers[1]


async def test_how_much_another_node_has_entangled_cannot_be_asked(config: ServerConfig) -> None:
    refusals = []
    for entangled in (1, 2):
        service = Service(replace(config, world=replace(config.world, max_qubits=3)), lambda: 0.0)
        alice = await NodeClient.local(service, name="alice")
        charlie = await NodeClient.local(service, name="charlie")
        asked = [node.pair(0.0, "run", "alice-charlie") for node in (alice, charlie, alice, charlie)]
        hers, his, more, _ = await asyncio.gather(*asked)
        for _ in range(entangled - 1):
            charlie.gate(100.0, "cnot", [his.qubit, await charlie.qubit(100.0, "run")])
        await charlie.sync()
        alice.gate(100.0, "cz", [hers.qubit, more.qubit])
        with pytest.raises(ClusterTooLarge) as refused:
            await alice.sync()
        refusals.append(str(refused.value))
    assert refusals[0] == refusals[1]


async def test_no_node_takes_the_lab_to_the_end_of_time(alice: NodeClient, oracle: OracleClient) -> None:
    with pytest.raises(BadRequest, match="leaps"):
        await alice.qubit(1e300, "run")
    assert await oracle.now() == 0.0


async def test_in_real_time_a_qubit_ages_whatever_its_holder_says(
    config: ServerConfig, wall: list[float]
) -> None:
    memories = NodeDevices(MemoryConfig(t1=1.0, t2=1.0))
    world = replace(
        config.world, nodes={"alice": memories}, links={}, taps={}, clock=ClockConfig("real-time")
    )
    service = Service(replace(config, world=world), lambda: wall[0])
    alice, oracle = await NodeClient.local(service, name="alice"), await OracleClient.local(service)
    for stated in (0.0, 1e9):  # long ago, or so far ahead that no age would be left for later
        qubit = await alice.qubit(stated, "run")
        alice.gate(stated, "x", [qubit])
        await alice.sync()
        wall[0] += 50.0
        alice.gate(0.0, "z", [qubit])
        await alice.sync()
        assert await oracle.fidelity([qubit], np.array([1, 0], dtype=np.complex128)) == pytest.approx(1)


@pytest.mark.parametrize("word", [word for word, known in OPERATIONS.items() if known.role == "oracle"])
async def test_a_node_has_no_oracle(word: str, alice: NodeClient) -> None:
    with pytest.raises(BadRequest, match="oracle"):
        await alice._line.ask(word)


async def test_the_oracle_acts_on_what_was_handed_over_only(alice: NodeClient, oracle: OracleClient) -> None:
    kept, given = await alice.qubit(0.0, "run"), await alice.qubit(0.0, "run")
    await alice.hand_over(0.0, [given])
    with pytest.raises(NotYours):
        await oracle.discard([kept])
    await oracle.discard([given])
    with pytest.raises(NoSuchQubit):
        await oracle.density_matrix([given])
    with pytest.raises(NoSuchQubit):
        await alice.measure(0.0, given, "Z")
    assert await alice.measure(0.0, kept, "Z") == 0
