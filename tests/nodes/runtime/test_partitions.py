"""Across a partition nothing is lost and nothing comes: messages wait for its end, and who waits for them is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from broker.envelope import Envelope
from nodes.errors import Partitioned, RunFailed
from nodes.runtime import partition
from nodes.runtime.channel import Hop
from nodes.runtime.conductor import Conductor
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.orders import ChangeChannels, Way
from nodes.runtime.partition import Partition
from nodes.runtime.run_request import RunRequest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nodes.runtime.conftest import Chain

DELAY = 5e-5
"""Seconds of 10 km."""
ROLES = {"alice": "alice", "bob": "bob"}
PARTED = {name: ChangeChannels((), (other,)) for name, other in (("alice", "bob"), ("bob", "alice"))}
WHOLE = {name: ChangeChannels((), ()) for name in ("alice", "bob")}


async def story(lab: Conductor, program: str, *orders: tuple[float, Mapping[str, ChangeChannels]]) -> Any:
    """Run the couriers and give orders at emulated times; return what Bob has to say."""

    async def give(who: str, halted: asyncio.Future[Any], order: Mapping[str, ChangeChannels]) -> None:
        await halted
        assert await lab.reroute(order) == set()
        await lab.oracle.go_on(who)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:

        def begun() -> None:
            for number, (at, order) in enumerate(orders):
                who = f"test-{number}"
                group.create_task(give(who, lab.oracle.halting(who, at), order))

        result = await lab.run(RunRequest(program, ROLES), begun=begun)
    return result.returned[0]["bob"]


async def test_letters_across_a_partition_arrive_when_it_has_healed_and_the_others_as_ever(
    chain: Chain, couriers: str
) -> None:
    cut, healed = 0.0055, 0.0125
    async with in_memory_lab(chain("alice", "bob")) as lab:
        told = await story(lab, couriers, (cut, PARTED), (healed, WHOLE))
    assert told["numbers"] == list(range(20))
    for sent, arrived in zip(told["sent"], told["times"], strict=True):
        expected = healed + DELAY if cut < sent < healed else sent + DELAY
        assert arrived == pytest.approx(expected, abs=1e-12)


async def test_what_is_sent_afterwards_does_not_overtake_what_has_waited(chain: Chain, couriers: str) -> None:
    slow, quick = (
        {
            "alice": ChangeChannels((Way("bob", (Hop(delay),)),), severed),
            "bob": ChangeChannels((Way("alice", (Hop(delay),)),), ()),
        }
        for delay, severed in ((5e-3, ("bob",)), (1e-6, ()))
    )
    async with in_memory_lab(chain("alice", "bob")) as lab:
        told = await story(lab, couriers, (0.0025, slow), (0.0085, quick))
    assert told["numbers"] == list(range(20))
    assert told["times"] == sorted(told["times"])
    for number, (sent, arrived) in enumerate(zip(told["sent"], told["times"], strict=True)):
        waited = 0.0085 + 5e-3  # as long as it would have taken when it was sent
        expected = sent + DELAY if number < 3 else max(waited, sent + 1e-6)
        assert arrived == pytest.approx(expected, abs=1e-12)


async def test_messages_take_another_way_from_the_moment_of_the_order(chain: Chain, couriers: str) -> None:
    far = {"alice": ChangeChannels((Way("bob", (Hop(2e-3), Hop(1e-3))),), ())}
    async with in_memory_lab(chain("alice", "bob")) as lab:
        told = await story(lab, couriers, (0.0105, far))
    for sent, arrived in zip(told["sent"], told["times"], strict=True):
        assert arrived - sent == pytest.approx(DELAY if sent < 0.0105 else 3e-3, abs=1e-12)


async def test_a_message_that_is_on_its_way_when_its_way_becomes_longer_arrives_when_it_would_have(
    chain: Chain, couriers: str
) -> None:
    longer = {
        name: ChangeChannels((Way(other, (Hop(5e-4),)),), ())
        for name, other in (("alice", "bob"), ("bob", "alice"))
    }
    change = 0.003 + DELAY / 2
    async with in_memory_lab(chain("alice", "bob")) as lab:
        told = await story(lab, couriers, (change, longer))
    for sent, arrived in zip(told["sent"], told["times"], strict=True):
        assert arrived - sent == pytest.approx(DELAY if sent < change else 5e-4, abs=1e-12)


async def test_the_same_orders_at_the_same_times_give_the_same_record(
    chain: Chain, couriers: str, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("head\n")
        async with in_memory_lab(chain("alice", "charlie", "bob"), record=tmp_path / name) as lab:
            await story(lab, couriers, (0.0055, PARTED), (0.0125, WHOLE))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


async def test_who_waits_across_a_partition_that_nobody_heals_is_told_so_at_once_in_virtual_time(
    chain: Chain, couriers: str
) -> None:
    async with asyncio.timeout(10), in_memory_lab(chain("alice", "bob")) as lab:
        assert await lab.reroute(PARTED) == set()
        with pytest.raises(RunFailed, match="everybody waits: bob for Letter from alice") as failure:
            await lab.run(RunRequest(couriers, ROLES))
        assert (failure.value.node, failure.value.cause) == ("bob", "Deadlock")
        assert await lab.reroute(WHOLE) == set()
        again = await lab.run(RunRequest(couriers, ROLES))
        assert again.returned[0]["bob"]["numbers"] == list(range(20))  # and nothing of the run before


async def test_in_real_time_the_deadline_says_who_waited_for_whom_and_that_a_partition_lies_between(
    chain: Chain, couriers: str
) -> None:
    async with asyncio.timeout(10), in_memory_lab(chain("alice", "bob", mode="real-time")) as lab:
        assert await lab.reroute(PARTED) == set()
        with pytest.raises(RunFailed) as failure:
            await lab.run(RunRequest(couriers, ROLES, deadline=0.3))
        assert failure.value.node == "bob"
        assert "node 'alice' did not send Letter (a partition lies between the two) within 0.3 s" in str(
            failure.value
        )


async def test_in_real_time_letters_wait_for_the_end_as_well(chain: Chain, couriers: str) -> None:
    async with asyncio.timeout(20), in_memory_lab(chain("alice", "bob", mode="real-time")) as lab:
        assert await lab.reroute(PARTED) == set()
        running = asyncio.ensure_future(lab.run(RunRequest(couriers, ROLES, deadline=10.0)))
        await asyncio.wait([running], timeout=0.2)
        assert not running.done()
        healed = await lab.oracle.now()
        assert await lab.reroute(WHOLE) == set()
        told = (await running).returned[0]["bob"]
    assert told["numbers"] == list(range(20))
    assert told["times"] == sorted(told["times"])
    assert min(told["times"]) >= healed + DELAY


async def test_orders_to_who_is_not_there_are_told(chain: Chain) -> None:
    async with asyncio.timeout(10), in_memory_lab(chain("alice", "bob")) as lab:
        lab.mourn("bob")
        assert await lab.reroute(PARTED) == {"bob"}


def letter(run: str, recipient: str = "bob") -> Envelope:
    """A message of a run."""
    return Envelope("lab", "alice", recipient, "test", f"{run}:0", 0, 0.0, 0.0, "Letter", {})


def test_more_than_can_wait_is_refused_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "MOST_KEPT", 100)
    parted = Partition()
    parted.check_room("bob", 10**9)  # nobody is out of reach
    assert not parted.keep(letter("run-1"), 60)
    parted.sever(["bob"])
    assert parted.keep(letter("run-1"), 60)
    parted.check_room("bob", 40)
    with pytest.raises(
        Partitioned, match="node 'bob' is on the other side of a partition, and 60 bytes wait"
    ):
        parted.check_room("bob", 41)
    parted.check_room("carol", 41)


def test_what_waits_for_a_run_that_is_over_is_dropped_and_the_rest_keeps_its_order() -> None:
    parted = Partition()
    parted.sever(["bob", "carol"])
    for run, recipient in (("run-1", "bob"), ("run-2", "bob"), ("run-2", "carol"), ("run-12", "bob")):
        assert parted.keep(letter(run, recipient), 10)
    parted.forget("run-1")
    assert parted.healed() == []
    parted.sever(["carol"])
    assert [envelope.session for envelope, _ in parted.healed()] == ["run-2:0", "run-12:0"]
    parted.sever([])
    assert [envelope.recipient for envelope, _ in parted.healed()] == ["carol"]
    assert parted.healed() == []


def test_room_is_counted_by_recipient_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "MOST_KEPT", 100)
    parted = Partition()
    parted.sever(["bob", "carol"])
    for run, recipient in (("run-1", "bob"), ("run-2", "bob"), ("run-1", "carol")):
        parted.check_room(recipient, 50)
        parted.keep(Envelope("lab", "alice", recipient, "test", run, 0, 0.0, 0.0, "Letter", {}), 50)
    with pytest.raises(Partitioned):
        parted.check_room("bob", 1)
    assert parted.forget("run-1") == {"bob": 1, "carol": 1}
    parted.check_room("bob", 50)
    with pytest.raises(Partitioned):
        parted.check_room("bob", 51)
    parted.sever([])
    assert [size for _, size in parted.healed()] == [50]
    parted.sever(["bob"])
    parted.check_room("bob", 100)
