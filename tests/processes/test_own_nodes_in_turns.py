"""Programs that are nodes of a lab in virtual time: they take turns like any other node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import nodes
from deploy.laboratory import Laboratory
from deploy.plan import Plan, plan
from deploy.topology import load
from nodes.apps import teleport
from nodes.errors import Deadlock, PeerGone
from nodes.runtime.connected import ConnectedNode

pytestmark = pytest.mark.processes

Lab = Callable[..., AbstractAsyncContextManager[Laboratory]]


@dataclass(frozen=True)
class Note:
    text: str


@pytest.fixture
def chain(tmp_path: Path) -> Plan:
    """Alice, Charlie of the lab's own, and Bob in a row, in virtual time: measuring takes a millisecond."""
    file = tmp_path / "own.yaml"
    file.write_text(
        "defaults: {gates: {readout_duration: 1 ms}}\n"
        "nodes: {alice: {external: true}, charlie: , bob: {external: true}}\n"
        "links: [{endpoints: [alice, charlie], length: 20 km}, {endpoints: [charlie, bob], length: 20 km}]\n"
    )
    return replace(plan(load(file), mode="virtual"), broker="embedded")


def joined(lab: Laboratory, name: str) -> AbstractAsyncContextManager[ConnectedNode]:
    return nodes.connect(name, document=lab.directory / "external" / f"{name}.json")


async def test_two_programs_teleport_and_time_is_emulated(chain: Plan, lab: Lab) -> None:
    async def alice() -> float:
        async with joined(up, "alice") as me:
            began = me.clock.now()
            for _ in range(10):
                psi, half = await me.qubit(), (await me.pair("bob")).qubit
                psi.h()
                psi.s()
                await teleport.alice(psi, half, me.peer("bob"))
            await me.clock.sleep(1000.0)
            return me.clock.now() - began

    async def bob() -> list[int]:
        async with joined(up, "bob") as me:
            found = []
            for _ in range(10):
                half = (await me.pair("alice")).qubit
                found.append(await (await teleport.bob(half, me.peer("alice"))).measure("Y"))
            return found

    async with lab(chain) as up:
        took, found = await asyncio.gather(alice(), bob())
        assert found == [0] * 10
        # two measurements of a millisecond each, at least, and the sleep, of which nobody has seen much
        assert 1000.02 < took < 1001.0
        assert (await up.census()).qubits == 0


async def test_a_message_comes_at_its_emulated_time(chain: Plan, lab: Lab) -> None:
    met = asyncio.Event()

    async def alice() -> str:
        async with joined(up, "alice") as me:
            met.set()
            return (await me.peer("bob").receive(Note)).text

    async def bob() -> None:
        async with joined(up, "bob") as me:
            await me.clock.sleep(2000.0)
            await me.peer("alice").send(Note("at last"))

    async with lab(chain) as up, asyncio.TaskGroup() as group:
        heard = group.create_task(alice())
        await met.wait()
        group.create_task(bob())
    assert heard.result() == "at last"


async def test_programs_that_wait_for_each_other_are_told_at_once(chain: Plan, lab: Lab) -> None:
    async def waiting(name: str, other: str) -> None:
        async with joined(up, name) as me:
            await me.peer(other).receive(Note)

    async with lab(chain) as up:
        async with asyncio.timeout(15):
            told = await asyncio.gather(
                waiting("alice", "bob"), waiting("bob", "alice"), return_exceptions=True
            )
        assert {type(each) for each in told} <= {Deadlock, PeerGone}
        assert any("alice for Note from bob; bob for Note from alice" in str(each) for each in told)
