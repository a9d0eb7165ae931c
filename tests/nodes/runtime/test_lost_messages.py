"""What has waited for the end of a partition and is lost: its sender's log says so, with how much, and else nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from broker.telemetry import ListSink
from nodes.errors import RunFailed
from nodes.runtime.attendants import attendants
from nodes.runtime.conductor import Conductor
from nodes.runtime.connected import ConnectedNode
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.orders import ChangeChannels
from nodes.runtime.run_request import RunRequest
from shared_state.config import ClockMode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nodes.runtime.conftest import Chain

ROLES = {"alice": "alice", "bob": "bob", "carol": "carol"}
PARTED = {
    "alice": ChangeChannels((), ("bob", "carol")),
    "bob": ChangeChannels((), ("alice",)),
    "carol": ChangeChannels((), ("alice",)),
}
WHOLE = {name: ChangeChannels((), ()) for name in ROLES}
LETTERS = """
from __future__ import annotations
from dataclasses import dataclass
from nodes.ports import Clock, Peer

@dataclass(frozen=True)
class Letter:
    number: int

async def alice(bob: Peer, carol: Peer, clock: Clock) -> None:
    for number in range(5):
        await bob.send(Letter(number))
    for number in range(2):
        await carol.send(Letter(number))
    await bob.receive(Letter)

async def bob(alice: Peer, clock: Clock) -> None:
    await clock.sleep(2.0)
    for _ in range(5):
        await alice.receive(Letter)
    await alice.send(Letter(5))

async def carol(alice: Peer) -> None:
    for _ in range(2):
        await alice.receive(Letter)
"""


@dataclass(frozen=True)
class Note:
    number: int


@pytest.fixture
def letters(tmp_path: Path) -> str:
    """Alice writes five letters to Bob and two to Carol at once; Bob, who reads late, answers."""
    file = tmp_path / "letters.py"
    file.write_text(LETTERS)
    return str(file)


def lost(log: ListSink) -> list[tuple[str, str | None, Mapping[str, object]]]:
    """Return what the logs say of lost messages: of which node, in which run, what."""
    return [(each.node, each.session, each.fields) for each in log.records if each.name == "messages.lost"]


def told(recipient: str, messages: int) -> dict[str, object]:
    """What is said of so many messages."""
    return {"recipient": recipient, "messages": messages, "cause": "partition"}


async def test_what_travels_when_the_partition_has_healed_is_not_lost(chain: Chain, letters: str) -> None:
    log = ListSink()
    async with asyncio.timeout(10), in_memory_lab(chain(*ROLES), log=log) as lab:

        async def heal() -> None:
            await lab.oracle.halt("test", 1.0)
            assert await lab.reroute(WHOLE) == set()
            await lab.oracle.go_on("test")

        assert await lab.reroute(PARTED) == set()
        async with asyncio.TaskGroup() as group:

            def begun() -> None:
                group.create_task(heal())

            await lab.run(RunRequest(letters, ROLES), begun=begun)
    assert lost(log) == []


async def test_what_waits_when_its_run_has_failed_is_lost(chain: Chain, letters: str) -> None:
    log = ListSink()
    async with asyncio.timeout(10), in_memory_lab(chain(*ROLES), log=log) as lab:
        assert await lab.reroute(PARTED) == set()
        for _ in range(2):
            with pytest.raises(RunFailed, match="everybody waits"):
                await lab.run(RunRequest(letters, ROLES))
        assert await lab.reroute(WHOLE) == set()
        await lab.run(RunRequest(letters, ROLES))
    assert lost(log) == [
        ("alice", run, told(recipient, messages))
        for run in ("run-1", "run-2")
        for recipient, messages in (("bob", 5), ("carol", 2))
    ]


async def test_what_waits_for_a_node_that_dies_is_lost_with_the_run(chain: Chain, letters: str) -> None:
    log = ListSink()
    async with asyncio.timeout(10), in_memory_lab(chain(*ROLES), log=log) as lab:

        async def dies() -> None:
            await lab.oracle.halt("test", 1.0)
            assert lost(log) == []
            lab.mourn("bob")
            await lab.oracle.go_on("test")

        assert await lab.reroute(PARTED) == set()
        async with asyncio.TaskGroup() as group:

            def begun() -> None:
                group.create_task(dies())

            with pytest.raises(RunFailed) as failure:
                await lab.run(RunRequest(letters, ROLES), begun=begun)
        assert (failure.value.node, failure.value.cause) == ("bob", "PeerGone")
    assert lost(log) == [("alice", "run-1", told("bob", 5)), ("alice", "run-1", told("carol", 2))]


@pytest.mark.parametrize(
    ("mode", "heals", "stays"),
    [
        ("virtual", False, 0.05),
        ("virtual", True, 0.05),
        ("virtual", True, 0.0),  # it heals while she waits for her letters to arrive
        ("real-time", False, 0.05),
        ("real-time", True, 0.05),
    ],
)
async def test_what_a_program_leaves_behind_a_partition_is_lost_unless_that_heals_before(
    chain: Chain, mode: ClockMode, heals: bool, stays: float
) -> None:
    log, heard = ListSink(), asyncio.Queue[int]()
    cut, booked = 0.05, asyncio.Event()
    there: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def orders(lab: Conductor) -> None:
        """Part the lab and heal it, just before alice leaves or just after: all letters are still on their way."""
        parted = await there + cut
        halts = {
            name: lab.oracle.halting(name, at)
            for name, at in (("cut", parted), ("heal", parted + stays + 3e-5))
        }
        booked.set()
        for name, order in (("cut", PARTED), ("heal", WHOLE)):
            await halts[name]
            if heals or name == "cut":
                assert await lab.reroute(order) == set()
            await lab.oracle.go_on(name)

    async def alice(me: ConnectedNode) -> None:
        await me.peer("bob").send(Note(0))
        if mode == "virtual":
            there.set_result(me.clock.now())
            await booked.wait()  # meanwhile no time passes
        await me.clock.sleep(cut + 2e-5)
        if mode == "real-time":
            assert await lab.reroute(PARTED) == set()
        for number in (1, 2, 3):
            await me.peer("bob").send(Note(number))
        await me.clock.sleep(stays and stays + 2e-5)
        assert lost(log) == []
        if mode == "real-time" and heals:
            assert await lab.reroute(WHOLE) == set()

    async def bob(me: ConnectedNode) -> None:
        for _ in range(4 if heals else 1):
            heard.put_nowait((await me.peer("alice").receive(Note)).number)
        await me.clock.sleep(0.2)  # until she has left

    programs, world = {"alice": alice, "bob": bob}, chain(*ROLES, mode=mode)
    async with (
        asyncio.timeout(10),
        in_memory_lab(world, programs=programs, log=log) as lab,
        attendants() as attend,
    ):
        if mode == "virtual":
            attend(orders(lab))
        for number in range(4 if heals else 1):
            assert await heard.get() == number
        while lab.states().get("alice") != "left":
            await lab.change_of("alice")
    assert lost(log) == ([] if heals else [("alice", None, told("bob", 3))])
