"""A node's mail: sessions apart, order kept, late mail dropped, departures noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest

from broker.bus import Bus
from broker.envelope import Envelope
from broker.faulty import FaultyBus
from broker.memory import MemoryBroker
from nodes.errors import DeadlinePassed, PeerGone
from nodes.runtime import mail
from nodes.runtime.attendants import attendants
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import CONTROL
from nodes.runtime.presence import Presence
from shared_state.arguments import Despatch


@asynccontextmanager
async def _offices(
    *names: str, wrap: Callable[[Bus], Bus] = lambda bus: bus
) -> AsyncIterator[list[PostOffice]]:
    broker = MemoryBroker()
    async with AsyncExitStack() as resources:
        attend = await resources.enter_async_context(attendants())
        offices = []
        for name in names:
            bus = await resources.enter_async_context(wrap(broker.bus(name, "lab", announcements=True)))
            offices.append(PostOffice(bus, "lab"))
            attend(offices[-1].sort())
            attend(offices[-1].dispatch())
        yield offices


async def _send(office: PostOffice, recipient: str, session: str, number: int) -> None:
    await office.send(recipient, session, "test", "Number", {"number": number}, 0.0, 0.0)


async def _receive(office: PostOffice, sender: str, session: str, deadline: float = 5.0) -> int:
    envelope = await office.receive(sender, session, "a number", deadline)
    number: int = envelope.body["number"]
    return number


class Hours:
    """A timekeeper who lets messages wait; ``until`` returns when so many have come over the bus."""

    def __init__(self) -> None:
        self.come = 0
        self._changed = asyncio.Event()

    def despatch(self, despatch: Despatch) -> None:
        """Take note of nothing."""

    def stir(self, callback: Callable[[], None]) -> None:
        """Call back at once."""
        callback()

    def look(self) -> None:
        """Count a message."""
        self.come += 1
        self._changed.set()

    async def until(self, count: int) -> None:
        """Wait for messages."""
        async with asyncio.timeout(5):
            while self.come < count:
                self._changed.clear()
                await self._changed.wait()


def _held(office: PostOffice) -> int:
    """Count what an office keeps: messages, and what is noted of sessions."""
    kept = len(office._arrived)
    for each in [each for run in office._runs.values() for each in run._rounds.values()]:
        streams = each.sequencer._streams.values()
        kept += 1 + len(each.boxes) + sum(len(box.waiting) for box in each.boxes.values())
        kept += len(streams) + sum(len(stream.early) for stream in streams) + len(each.delivered)
    return kept


async def test_each_session_gets_its_own_messages_in_order() -> None:
    async with _offices("alice", "bob") as (alice, bob):
        for number in range(20):
            await _send(alice, "bob", f"run-1:{number % 3}", number)
        for session in range(3):
            expected = [number for number in range(20) if number % 3 == session]
            assert [await _receive(bob, "alice", f"run-1:{session}") for _ in expected] == expected


async def test_mail_that_came_before_the_run_was_known_is_kept() -> None:
    async with _offices("alice", "bob") as (alice, bob):
        await _send(alice, "bob", "run-9:0", 42)
        await _send(alice, "bob", "run-8:0", 41)
        assert await _receive(bob, "alice", "run-8:0") == 41
        assert await _receive(bob, "alice", "run-9:0") == 42


async def test_mail_for_a_run_that_is_over_is_dropped_and_the_next_run_is_not_disturbed() -> None:
    async with _offices("alice", "bob") as (alice, bob):
        bob.end_run("run-1")
        await _send(alice, "bob", "run-1:0", 1)
        await _send(alice, "bob", "run-2:0", 2)
        assert await _receive(bob, "alice", "run-2:0") == 2
        with pytest.raises(DeadlinePassed, match="'alice' did not send a number"):
            await _receive(bob, "alice", "run-1:0", deadline=0.05)


async def test_a_round_that_ended_takes_its_services_along_and_no_other_round() -> None:
    async with _offices("alice", "bob") as (alice, bob):
        for session in ("run-1:1", "run-1:1:swap", "run-1:10"):
            await _send(alice, "bob", session, 7)
        assert await _receive(bob, "alice", "run-1:1") == 7
        bob.end_round("run-1:1")
        assert await _receive(bob, "alice", "run-1:10") == 7
        with pytest.raises(DeadlinePassed):
            await _receive(bob, "alice", "run-1:1:swap", deadline=0.05)


async def test_late_mail_of_rounds_that_are_over_is_not_kept_and_the_next_round_gets_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail, "_UNREAD_BYTES", 2_000)  # seven messages
    async with _offices("alice", "bob") as (alice, bob):
        bob.begin_run("run-1", {"alice", "bob"})
        for number in range(20):
            bob.end_round(f"run-1:{number}")
            for session in (f"run-1:{number}", f"run-1:{number}:swap"):
                await _send(alice, "bob", session, number)
        await _send(alice, "bob", "run-1:20", 20)
        await _send(alice, "bob", "run-1:20:swap", 21)
        assert await _receive(bob, "alice", "run-1:20") == 20
        assert await _receive(bob, "alice", "run-1:20:swap") == 21
        bob.end_round("run-1:20")
        assert _held(bob) == 0


async def test_mail_that_waits_for_a_lost_message_goes_with_its_round() -> None:
    numbers = count()
    async with _offices(
        "alice", "bob", wrap=lambda bus: FaultyBus(bus, lambda e: [] if next(numbers) == 0 else [e])
    ) as (alice, bob):
        for number in range(5):
            await _send(alice, "bob", "run-1:0:swap", number)
        await _send(alice, "bob", "run-1:0", 5)
        assert await _receive(bob, "alice", "run-1:0") == 5
        assert _held(bob) > 4
        bob.end_round("run-1:0")
        assert _held(bob) == 0


async def test_in_virtual_time_mail_that_is_due_after_its_round_or_its_run_is_dropped_and_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = 7
    monkeypatch.setattr(mail, "_UNREAD_BYTES", room * 256)
    async with _offices("alice", "bob") as (alice, bob):
        bob.keep_time(hours := Hours())
        for run in ("run-1", "run-2", "run-3"):
            bob.begin_run(run, {"alice", "bob"})
            for number in range(20):
                session = f"{run}:{number}"
                before = hours.come
                for each in range(4):
                    await _send(alice, "bob", session, each)
                await hours.until(before + 4)
                bob.deliver("alice", session, 0)
                assert await _receive(bob, "alice", session) == 0
                bob.deliver("alice", session, 1)
                bob.end_round(session)
                assert bob.has_arrived("alice", session, 99), "nobody waits for the bus to bring it"
                bob.deliver("alice", session, 2)  # the other one is not due before the run is over
                bob.lose("alice", session, 99, 1.0)
                assert not bob.unread("alice", session)
                if number % 4 == 3:
                    for late in range(number - 3, number + 1):
                        bob.deliver("alice", f"{run}:{late}", 3)
            assert _held(bob) == 0
            before = hours.come
            for each in range(room):
                await _send(alice, "bob", f"{run}:20", each)
            await hours.until(before + room)
            for each in range(room):
                bob.deliver("alice", f"{run}:20", each)
                assert await _receive(bob, "alice", f"{run}:20") == each
            for each in range(room):
                await _send(alice, "bob", f"{run}:21", each)
            await hours.until(before + 2 * room)
            bob.end_run(run)
            assert _held(bob) == 0


async def test_in_virtual_time_what_comes_again_after_its_round_is_no_news() -> None:
    async with _offices("alice", "bob", wrap=lambda bus: FaultyBus(bus, lambda e: [e, e])) as (alice, bob):
        bob.keep_time(hours := Hours())
        bob.begin_run("run-1", {"alice", "bob"})
        rounds = 8
        for number in range(rounds):
            await _send(alice, "bob", f"run-1:{number}", number)
            await hours.until(2 * number + 1)
            bob.deliver("alice", f"run-1:{number}", 0)
            assert await _receive(bob, "alice", f"run-1:{number}") == number
            bob.end_round(f"run-1:{number}")
        await hours.until(2 * rounds)
        assert _held(bob) == 0


async def test_who_waits_for_a_party_that_leaves_is_told_at_once_and_keeps_what_it_had_sent() -> None:
    broker = MemoryBroker()
    async with _offices("bob") as _, AsyncExitStack() as resources:
        attend = await resources.enter_async_context(attendants())
        bus = await resources.enter_async_context(broker.bus("bob", "lab", announcements=True))
        bob = PostOffice(bus, "lab")
        attend(bob.sort())
        async with broker.bus("alice", "lab") as alice_bus, attendants() as attend_alice:
            alice = PostOffice(alice_bus, "lab")
            attend_alice(alice.dispatch())
            await _send(alice, "bob", "run-1:0", 1)
            await _send(alice, "bob", "run-1:1", 2)
            assert await _receive(bob, "alice", "run-1:1") == 2
        assert await _receive(bob, "alice", "run-1:0") == 1
        with pytest.raises(PeerGone, match="node 'alice' left while a number was awaited"):
            await _receive(bob, "alice", "run-1:0", deadline=60.0)


async def test_nobody_can_write_to_a_party_that_has_left_until_it_is_back() -> None:
    async with _offices("alice", "bob") as (alice, bob):
        alice.note_status("bob", "left")
        with pytest.raises(PeerGone, match="node 'bob' left while the delivery of Number was awaited"):
            await _send(alice, "bob", "run-1:0", 1)
        alice.note_status("bob", "ready")
        await _send(alice, "bob", "run-1:0", 2)
        assert await _receive(bob, "alice", "run-1:0") == 2  # no number was spent on the one that was refused


async def test_a_connection_that_is_back_within_the_grace_was_never_missed() -> None:
    gone: asyncio.Queue[str] = asyncio.Queue()
    presence = Presence(gone.put_nowait, grace=0.05)
    presence.note("alice", "lost")
    presence.note("bob", "lost")
    presence.note("alice", "ready")
    assert await gone.get() == "bob"
    assert gone.empty()
    assert presence.gone("bob")
    assert not presence.gone("alice")


async def test_strangers_to_a_run_do_not_get_into_its_mail() -> None:
    async with _offices("alice", "bob", "mallory") as (alice, bob, mallory):
        bob.begin_run("run-1", {"alice", "bob"})
        await _send(mallory, "bob", "run-1:0", 666)
        await _send(mallory, "bob", "run-2:0", 1)
        assert await _receive(bob, "mallory", "run-2:0") == 1
        with pytest.raises(DeadlinePassed):
            await _receive(bob, "mallory", "run-1:0", deadline=0.05)
        await _send(alice, "bob", "run-1:0", 7)
        assert await _receive(bob, "alice", "run-1:0") == 7


async def test_a_flood_for_unknown_runs_costs_nobody_else_a_message() -> None:
    async with _offices("alice", "bob", "mallory") as (alice, bob, mallory):
        await _send(alice, "bob", "run-9:0", 7)
        for number in range(500):
            await _send(mallory, "bob", f"flood-{number}:0", number)
        assert await _receive(bob, "mallory", "flood-499:0") == 499
        assert await _receive(bob, "alice", "run-9:0") == 7


async def test_nobody_fills_a_nodes_memory_with_unread_mail() -> None:
    published, last = count(1), asyncio.Event()

    def counted(bus: Bus) -> Bus:
        def fault(envelope: Envelope) -> list[Envelope]:
            if envelope.sender == "mallory" and next(published) == 81:
                last.set()
            return [envelope]

        return FaultyBus(bus, fault)

    async with _offices("alice", "bob", "mallory", wrap=counted) as (alice, bob, mallory):
        for number in range(81):
            body = {"number": number, "ballast": bytes(1_000_000)}
            await mallory.send("bob", "run-1:0", "test", "Number", body, 0.0, 0.0)
        await last.wait()
        await _send(alice, "bob", "run-1:0", 7)
        assert await _receive(bob, "alice", "run-1:0") == 7  # so all that mallory sent before has arrived
        for number in range(67):  # what 64 MiB hold
            assert await _receive(bob, "mallory", "run-1:0") == number
        with pytest.raises(DeadlinePassed):
            await _receive(bob, "mallory", "run-1:0", deadline=0.1)


async def test_a_deadline_says_which_message_is_lost_when_later_ones_came() -> None:
    numbers = count()
    async with _offices(
        "alice", "bob", wrap=lambda bus: FaultyBus(bus, lambda e: [] if next(numbers) == 1 else [e])
    ) as (alice, bob):
        for number in range(4):
            await _send(alice, "bob", "run-1:0", number)
        assert await _receive(bob, "alice", "run-1:0") == 0
        with pytest.raises(DeadlinePassed, match="message number 1 is lost; later ones came"):
            await _receive(bob, "alice", "run-1:0", deadline=0.1)


async def test_orders_of_the_control_party_do_not_mix_with_mail() -> None:
    async with _offices(CONTROL, "bob") as (control, bob):
        await _send(control, "bob", "run-1", 1)
        async with asyncio.timeout(5):
            order = await bob.orders.get()
    assert (order.session, order.body) == ("run-1", {"number": 1})


async def test_when_a_sender_has_hung_up_what_it_said_is_received_and_then_it_has_gone() -> None:
    async with asyncio.timeout(5), _offices("alice", "bob") as (alice, bob):
        for session in ("visit-1:visit-2:peer", "visit-1:visit-3:peer"):
            await _send(alice, "bob", session, 1)
        assert await _receive(bob, "alice", "visit-1:visit-3:peer") == 1
        bob.hang_up("alice", "visit-1:visit-2")
        assert await _receive(bob, "alice", "visit-1:visit-2:peer") == 1
        with pytest.raises(PeerGone):
            await _receive(bob, "alice", "visit-1:visit-2:peer")
        waiting = asyncio.ensure_future(_receive(bob, "alice", "visit-1:visit-3:peer"))
        await asyncio.sleep(0)
        bob.hang_up("alice", "visit-1:visit-3")
        with pytest.raises(PeerGone):
            await waiting


async def test_what_was_for_the_process_before_is_not_counted() -> None:
    """Control may write to a node in whose place another process is by now, and writes anew when it hears of that."""
    broker = MemoryBroker()
    async with attendants() as attend, broker.bus(CONTROL, "lab") as bus, broker.bus("alice", "lab") as there:
        control, alice = PostOffice(bus, "lab"), PostOffice(there, "lab", process="second")
        for office in (control, alice):
            attend(office.sort())
            attend(office.dispatch())
        control.begin_run("visit-1", {"alice"})
        for process in ("first", "first", "second"):
            if process == "second":
                control.greet("visit-1", "alice")
            await control.send("alice", "visit-1", "lab", "RunOrder", {"process": process}, 0.0, 0.0)
        await control.send("alice", "visit-1", "lab", "RunOver", {"reason": ""}, 0.0, 0.0)
        async with asyncio.timeout(5):
            come = [await alice.orders.get() for _ in range(2)]
        assert [(each.kind, each.body.get("process")) for each in come] == [
            ("RunOrder", "second"),
            ("RunOver", None),
        ]
        assert alice.orders.empty()
