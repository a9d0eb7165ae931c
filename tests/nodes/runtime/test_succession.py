"""A control party that comes after another one: names that no run had, and nodes that hold nothing of former runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from broker.bus import Bus, Delivery, MailLost
from broker.envelope import Envelope
from broker.faulty import FaultyBus
from broker.memory import MemoryBroker
from nodes.errors import RunFailed
from nodes.runtime.attendants import attendants
from nodes.runtime.conductor import Conductor
from nodes.runtime.in_memory import in_memory_lab, pair_route
from nodes.runtime.orders import CONTROL
from nodes.runtime.run_request import RunRequest
from shared_state.config import (
    ClockConfig,
    ClockMode,
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    WorldConfig,
)
from shared_state.oracle import Census, OracleClient

LAB = "in-memory"
ROLES = {"alice": "alice", "bob": "bob"}
SHORT = RunRequest("teleport", ROLES, rounds=2, deadline=5.0)
ENDLESS = RunRequest("teleport", ROLES, rounds=1_000_000)

pytestmark = pytest.mark.parametrize("mode", ["real-time", "virtual"])


def world(mode: ClockMode) -> WorldConfig:
    """Two nodes without a memory more than a run takes: what a former one still held would be missed."""
    return WorldConfig(
        nodes={name: NodeDevices(MemoryConfig(count=2)) for name in ROLES},
        links={"alice-bob": LinkDevices(("alice", "bob"), FibreConfig(length=1000.0))},
        clock=ClockConfig(mode),
    )


@asynccontextmanager
async def later_control(lab: Conductor, there: WorldConfig, mark: str = "") -> AsyncIterator[Conductor]:
    """Let a lab's control party be dead inside the block, and another one be there that knows nothing of it."""
    bus: Any = lab._office._bus
    line: Any = lab.oracle._line
    broker: MemoryBroker = bus._broker
    broker.disconnect(CONTROL, LAB, "lost")
    await lab.oracle.close()
    async with AsyncExitStack() as resources:
        oracle = await OracleClient.local(line._dialler._service, name=CONTROL)
        await resources.enter_async_context(oracle)
        own = await resources.enter_async_context(broker.bus(CONTROL, LAB, announcements=True))
        attend = await resources.enter_async_context(attendants())
        conductor = Conductor(
            own,
            LAB,
            oracle,
            lambda first, last: pair_route(there, first, last),
            list(there.nodes),
            mark=mark,
        )
        attend(conductor.serve())
        await conductor.ready(list(there.nodes))
        yield conductor
    broker.connect(CONTROL, LAB, announcements=True)  # the one that was dead leaves in the end


@asynccontextmanager
async def in_a_run(lab: Conductor) -> AsyncIterator[None]:
    """Let a run be under way at the beginning of the block, whose control party dies in it."""
    begun = asyncio.Event()
    running = asyncio.ensure_future(lab.run(ENDLESS, lambda judged: begun.set()))
    await begun.wait()
    try:
        yield
    finally:
        lab.abandon()
        running.cancel()
        await asyncio.wait([running])


def empty(census: Census) -> bool:
    return (census.qubits, census.reserved, census.waiting) == (0, 0, 0)


async def test_the_first_control_party_counts_its_runs_from_one(mode: ClockMode) -> None:
    async with in_memory_lab(world(mode)) as lab:
        assert not await lab.take_over()
        assert [(await lab.run(SHORT)).run for _ in range(2)] == ["run-1", "run-2"]


async def test_a_later_one_ends_what_the_former_has_begun_and_gives_its_runs_other_names(
    mode: ClockMode,
) -> None:
    there = world(mode)
    async with in_memory_lab(there) as lab, asyncio.timeout(20):
        await lab.run(SHORT)
        async with in_a_run(lab), later_control(lab, there) as later:
            assert await later.take_over()
            assert empty(await later.census())
            assert [(await later.run(SHORT)).run for _ in range(2)] == ["run-2.1", "run-2.2"]
            assert empty(await later.census())


async def test_where_the_server_may_be_another_one_too_runs_bear_a_mark(mode: ClockMode) -> None:
    there = world(mode)
    async with (
        asyncio.timeout(20),
        in_memory_lab(there) as lab,
        in_a_run(lab),
        later_control(lab, there, mark="5f0c") as later,
    ):
        assert await later.take_over()
        assert (await later.run(SHORT)).run == "run-5f0c-1"


async def test_an_order_that_nobody_answers_ends_the_run_when_its_deadline_has_passed(
    mode: ClockMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodes.runtime.closing.CLOSE_WITHIN", 0.2)  # nor does it say that it has ended it
    lost: list[Envelope] = []

    def lose(envelope: Envelope) -> list[Envelope]:
        if (envelope.sender, envelope.kind) == ("bob", "PartBegun"):
            lost.append(envelope)
            return []
        return [envelope]

    def losing(bus: Bus) -> Bus:
        return FaultyBus(bus, lose)

    async with in_memory_lab(world(mode), wrap=losing) as lab, asyncio.timeout(15):
        with pytest.raises(
            RunFailed, match="'bob': it has not answered the order of the control party"
        ) as late:
            await lab.run(RunRequest("teleport", ROLES, rounds=2, deadline=0.2))
        assert late.value.cause == "DeadlinePassed"
        assert lost


async def test_a_node_in_whose_place_another_process_has_come_ends_its_runs(mode: ClockMode) -> None:
    async with in_memory_lab(world(mode)) as lab, asyncio.timeout(20):
        begun = asyncio.Event()
        running = asyncio.ensure_future(lab.run(ENDLESS, lambda judged: begun.set()))
        await begun.wait()
        lab._office.processes["bob"] = "another one"
        lab._office.note_status("bob", "ready")
        with pytest.raises(RunFailed, match="at node 'bob': the process ended while it played its part"):
            await running


@pytest.mark.parametrize("mail_lost", [False, True])
async def test_a_run_that_was_ordered_from_a_former_process_ends_at_once(
    mode: ClockMode, mail_lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has come in its place does nothing with the order, and has nothing to end."""
    async with in_memory_lab(world(mode)) as lab, asyncio.timeout(8):
        now = lab._office.processes["bob"]
        lab._office.processes["bob"] = "former"
        lab._attendance.note("bob", "ready", "former")
        sent = asyncio.Event()
        send = lab._office.send

        async def sending(recipient: str, *arguments: Any) -> None:
            await send(recipient, *arguments)
            if recipient == "bob":
                sent.set()

        monkeypatch.setattr(lab._office, "send", sending)
        running = asyncio.ensure_future(lab.run(SHORT))
        await sent.wait()
        if mail_lost:
            lab._note_mail_lost()
        lab._office.processes["bob"] = now
        lab._office.note_status("bob", "ready")
        with pytest.raises(RunFailed, match=r"at node '(alice|bob)'"):
            await running
        assert (await lab.run(SHORT)).rounds == 2


async def test_a_broker_that_has_lost_mail_ends_all_runs_and_nothing_of_them_is_left(
    mode: ClockMode,
) -> None:
    async with in_memory_lab(world(mode)) as lab, asyncio.timeout(20):
        begun = asyncio.Event()
        running = asyncio.ensure_future(lab.run(ENDLESS, lambda judged: begun.set()))
        await begun.wait()
        bus: Any = lab._office._bus
        bus._broker._labs[LAB].inboxes[CONTROL].put_nowait(Delivery(MailLost(), lambda: None))
        with pytest.raises(RunFailed, match="the broker was started again meanwhile") as failure:
            await running
        assert failure.value.cause == "MailLost"
        assert empty(await lab.census())
        assert (await lab.run(SHORT)).rounds == 2
