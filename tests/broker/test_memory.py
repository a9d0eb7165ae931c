from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from broker.bus import Announcement, Bus, MailLost
from broker.envelope import Envelope
from broker.errors import EnvelopeError, ForgedEnvelope, InvalidName
from broker.memory import MemoryBroker

Make = Callable[..., Envelope]


async def contents(bus: Bus, count: int) -> list[Envelope | Announcement]:
    """Receive ``count`` deliveries."""
    arriving = bus.deliveries()
    async with asyncio.timeout(1):
        found = [(await anext(arriving)).content for _ in range(count)]
    return [content for content in found if not isinstance(content, MailLost)]


async def test_bob_receives_what_alice_sent_in_order(new_envelope: Make) -> None:
    hub = MemoryBroker()
    async with hub.bus("alice") as alice, hub.bus("bob") as bob:
        sent = [new_envelope(sequence) for sequence in range(10)]
        for envelope in sent:
            await alice.publish(envelope)
        assert await contents(bob, 10) == sent


async def test_nobody_shares_an_object_with_the_sender(new_envelope: Make) -> None:
    hub = MemoryBroker()
    async with hub.bus("alice") as alice, hub.bus("bob") as bob:
        body = {"list": [1]}
        await alice.publish(new_envelope(body=body))
        body["list"].append(2)
        (received,) = await contents(bob, 1)
        assert received.body == {"list": [1]}


async def test_two_labs_on_one_hub_do_not_see_each_other(new_envelope: Make) -> None:
    hub = MemoryBroker()
    async with (
        hub.bus("alice", "lab") as alice,
        hub.bus("bob", "lab") as bob,
        hub.bus("bob", "other", announcements=True) as stranger,
    ):
        await alice.publish(new_envelope())
        await alice.announce("status", {"state": "ready"})
        assert await contents(bob, 1) == [new_envelope()]
        await stranger.announce("events", {"last": True})
        assert await contents(stranger, 1) == [Announcement("bob", "events", {"last": True})]


async def test_a_bus_sends_under_its_own_name_only(new_envelope: Make) -> None:
    hub = MemoryBroker()
    async with hub.bus("alice") as alice:
        for forged in (new_envelope(sender="bob"), new_envelope(lab="other")):
            with pytest.raises(ForgedEnvelope, match="cannot send as"):
                await alice.publish(forged)
        with pytest.raises(InvalidName):
            await alice.publish(new_envelope(recipient="bob/to"))
        with pytest.raises(EnvelopeError):
            await alice.publish(new_envelope(body={"x": object()}))


async def test_the_last_status_is_told_to_who_comes_later(new_envelope: Make) -> None:
    hub = MemoryBroker()
    async with hub.bus("alice") as alice:
        await alice.announce("status", {"state": "starting"})
        await alice.announce("status", {"state": "ready"})
        await alice.announce("events", {"passed": True})
        async with hub.bus("control", announcements=True) as control:
            assert await contents(control, 1) == [Announcement("alice", "status", {"state": "ready"})]


async def test_a_party_that_ends_well_has_left_and_one_that_fails_is_lost() -> None:
    hub = MemoryBroker()
    async with hub.bus("control", announcements=True) as control:
        async with hub.bus("alice"):
            pass
        with pytest.raises(ZeroDivisionError):
            async with hub.bus("bob"):
                raise ZeroDivisionError
        states = [delivery.body["state"] for delivery in await contents(control, 2)]
        assert states == ["left", "lost"]


async def test_a_lost_party_finds_its_messages_on_return(new_envelope: Make) -> None:
    hub = MemoryBroker()
    async with hub.bus("alice") as alice:
        with pytest.raises(ZeroDivisionError):
            async with hub.bus("bob"):
                raise ZeroDivisionError
        await alice.publish(new_envelope())
        async with hub.bus("bob") as bob:
            assert await contents(bob, 1) == [new_envelope()]


async def test_deliveries_end_with_the_bus() -> None:
    hub = MemoryBroker()
    async with hub.bus("alice") as alice:
        pass
    assert [delivery async for delivery in alice.deliveries()] == []
