"""The program ``tunnel``: nothing goes through it without a fresh key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from nodes.apps import tunnel
from nodes.apps.tunnel import Frame, Packet, Rekey
from nodes.keys.store import KeyStore
from nodes.ports import Clock, Coin, Peer
from nodes.qkd.key import Key
from nodes.runtime.stored_keys import StoredKeys

Connect = Callable[..., tuple[Peer, Peer]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]


async def stores(keys: int) -> tuple[StoredKeys, StoredKeys]:
    """What both ends have in store: so many keys for the tunnel."""
    ends = [StoredKeys(KeyStore(None, b"k" * 32), peer, reproducible=True) for peer in ("bob", "alice")]
    for end in ends:
        if keys:
            await end.put("block", Key(np.arange(256 * keys).astype(np.uint8) & np.uint8(1)))
    return ends[0], ends[1]


@pytest.mark.parametrize(("keys", "seconds"), [(10, 10.0), (7, 10.0), (3, 10.0), (0, 2.0), (20, 5.0)])
async def test_without_a_key_packets_are_held_back(
    connect: Connect, both: Both, make_coin: MakeCoin, clock: Clock, keys: int, seconds: float
) -> None:
    bob, alice = connect()
    with_bob, with_alice = await stores(keys)
    sent, received = await both(
        tunnel.alice(bob, with_bob, clock, make_coin(1), seconds, rekey=1.0, rate=20.0),
        tunnel.bob(alice, with_alice, clock),
    )
    used = min(keys, round(seconds))
    assert sent.keys == received.keys == used
    assert sent.frames == received.frames == 20 * used
    assert sent.held_back == 20 * round(seconds) - sent.frames
    assert sent.closed_for == pytest.approx(seconds - used)
    assert received.refused == 0


async def test_no_two_frames_have_the_same_key_and_number(
    connect: Connect, both: Both, make_coin: MakeCoin, clock: Clock
) -> None:
    seen: list[tuple[Any, int]] = []
    under: list[Rekey] = []

    def listen(sender: str, number: int, message: Any) -> list[object]:
        assert isinstance(message, Packet)
        if isinstance(message.content, Rekey):
            under.append(message.content)
        elif isinstance(message.content, Frame):
            seen.append((under[-1].ticket, message.content.number))
        return [message]

    bob, alice = connect(listen)
    with_bob, with_alice = await stores(5)
    await both(tunnel.alice(bob, with_bob, clock, make_coin(1), 5.0), tunnel.bob(alice, with_alice, clock))
    assert len(seen) == len(set(seen)) == 100
    assert len({ticket for ticket, _ in seen}) == 5


async def test_a_frame_that_comes_after_its_keys_time_or_was_altered_is_refused(
    connect: Connect, make_coin: MakeCoin, clock: Clock
) -> None:
    def alter(sender: str, number: int, message: Any) -> list[object]:
        content = message.content
        if isinstance(content, Frame) and content.number == 3:
            sealed = bytes([content.sealed[0] ^ 1]) + content.sealed[1:]
            return [Packet(Frame(3, sealed))]
        return [message]

    bob, alice = connect(alter)
    with_bob, with_alice = await stores(2)
    sent = await tunnel.alice(bob, with_bob, clock, make_coin(1), 1.0)
    opened = asyncio.create_task(tunnel.bob(alice, with_alice, clock))
    received = await opened
    assert received.refused == 1
    assert received.frames == sent.frames - 1


async def test_as_soon_as_there_are_keys_again_traffic_goes_on(
    connect: Connect, both: Both, make_coin: MakeCoin, clock: Clock
) -> None:
    bob, alice = connect()
    with_bob, with_alice = await stores(1)
    original = clock.sleep

    async def sleep(duration: float) -> None:
        await original(duration)
        if clock.now() >= 5.0 and await with_bob.stored_bits() == 0 and not restocked:
            restocked.append(clock.now())
            for end in (with_bob, with_alice):
                await end.put("another", Key(np.zeros(256 * 20, dtype=np.uint8)))

    restocked: list[float] = []
    clock.sleep = sleep  # type: ignore[method-assign]
    sent, received = await both(
        tunnel.alice(bob, with_bob, clock, make_coin(1), 10.0), tunnel.bob(alice, with_alice, clock)
    )
    assert sent.frames == received.frames == 20 * 6
    assert sent.closed_for == pytest.approx(4.0)


@pytest.mark.parametrize("number", [3, 99, -1, 2**96])
async def test_a_packet_that_comes_again_or_under_another_number_is_refused(
    connect: Connect, make_coin: MakeCoin, clock: Clock, number: int
) -> None:
    """The first four packets are sent again after the eighth, one of them under another number."""
    sent: list[Frame] = []

    def replay(sender: str, count: int, message: Any) -> list[object]:
        if not isinstance(message.content, Frame):
            return [message]
        sent.append(message.content)
        if len(sent) != 8:
            return [message]
        again = [*sent[:3], Frame(number, sent[3].sealed)]
        return [message, *map(Packet, again)]

    bob, alice = connect(replay)
    with_bob, with_alice = await stores(1)
    told = await tunnel.alice(bob, with_bob, clock, make_coin(1), 1.0)
    received = await tunnel.bob(alice, with_alice, clock)
    assert received.frames == told.frames
    assert received.refused == 4
