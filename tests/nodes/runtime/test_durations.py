"""A node's clock goes on by what its operations take, and its qubits age meanwhile."""

from __future__ import annotations

from math import exp

import pytest

from nodes.errors import QubitGone
from nodes.runtime.clock import Alone, VirtualClock
from nodes.runtime.qubits import Register
from shared_state.client import NodeClient
from shared_state.config import GateConfig, MemoryConfig, NodeDevices, ServerConfig, WorldConfig
from shared_state.oracle import OracleClient
from shared_state.service import Service


def service(memory: MemoryConfig) -> Service:
    gates = GateConfig(
        single_duration=0.1, two_duration=0.4, readout_duration=0.7, initialisation_duration=0.2
    )
    world = WorldConfig({"alice": NodeDevices(memory, gates, storage=memory)}, {}, seed=1)
    return Service(ServerConfig("lab", world, {"alice": "token"}, oracle_token="oracle"), lambda: 0.0)


@pytest.mark.parametrize("t1", [0.5, 3.0])
async def test_a_program_is_as_slow_as_its_operations(t1: float) -> None:
    server = service(MemoryConfig(t1=t1, t2=t1))
    alice, oracle = await NodeClient.local(server, name="alice"), await OracleClient.local(server)
    clock = VirtualClock(Alone())
    register = Register(alice, clock, "run")
    first, second = await register.qubit(), await register.qubit()
    first.x()
    assert clock.now() == pytest.approx(0.5)
    first.swap(second)
    await register.store(second)
    await register.retrieve(second)
    first.z()
    assert clock.now() == pytest.approx(1.8)
    (given,) = await register.hand_over([second])
    excited = (await oracle.density_matrix([given]))[1, 1]
    assert excited == pytest.approx(exp(-1.4 / t1), abs=1e-9)  # since the X began, at 0.4
    await first.measure()
    assert clock.now() == pytest.approx(2.5)
    await alice.close()
    await oracle.close()


async def test_a_program_that_keeps_a_qubit_for_too_long_hears_of_it() -> None:
    alice = await NodeClient.local(service(MemoryConfig(cutoff=1.0)), name="alice")
    clock = VirtualClock(Alone())
    qubit = await Register(alice, clock, "run").qubit()
    await clock.sleep(2.0)
    with pytest.raises(QubitGone, match="cut-off"):
        await qubit.measure()
    await alice.close()
