"""The dialogue of Cascade: what is said, what is charged, and what is refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from threading import get_ident
from typing import Any

import numpy as np
import pytest

from nodes.errors import ProtocolViolation
from nodes.ports import Bits, Coin, Peer
from nodes.qkd import cascade
from nodes.qkd.bits import packed
from nodes.qkd.cascade import Parities, Shuffle, answer, correct, leakage
from nodes.qkd.cascade_search import Search

Connect = Callable[..., tuple[Peer, Peer]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]


def noisy(size: int, qber: float, seed: int) -> tuple[Bits, Bits]:
    rng = np.random.default_rng(seed)
    alice = rng.integers(0, 2, size, dtype=np.uint8)
    return alice, alice ^ (rng.random(size) < qber).astype(np.uint8)


@pytest.mark.parametrize("size", [1, 2, 100, 5000, 50_000])
async def test_bob_ends_with_the_key_of_alice(
    size: int, connect: Connect, both: Both, make_coin: MakeCoin
) -> None:
    alice_key, bob_key = noisy(size, 0.03, size)
    before = bob_key.copy()
    bob, alice = connect()
    mine, his = await both(
        answer(alice_key, 0.03, bob, make_coin(0)), correct(bob_key, 0.03, alice, make_coin(1))
    )
    assert mine.key is alice_key
    assert np.array_equal(his.key, alice_key)
    assert np.array_equal(bob_key, before)
    assert mine.leaked == his.leaked


async def test_no_bits_are_equal_without_a_word(connect: Connect, both: Both, make_coin: MakeCoin) -> None:
    nothing = np.zeros(0, dtype=np.uint8)
    bob, alice = connect()
    coin = make_coin(1)
    for reconciled in await both(answer(nothing, 0.03, bob, coin), correct(nothing, 0.03, alice, coin)):
        assert (reconciled.key.size, reconciled.leaked) == (0, 0)


async def test_both_ends_charge_the_parities_that_were_told(
    connect: Connect, both: Both, make_coin: MakeCoin, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def noted(bits: Bits) -> bytes:
        told.append(bits.size)
        return packed(bits)

    monkeypatch.setattr(cascade, "packed", noted)
    alice_key, bob_key = noisy(10_000, 0.04, 5)
    bob, alice = connect()
    coin = make_coin(1)
    mine, his = await both(answer(alice_key, 0.04, bob, coin), correct(bob_key, 0.04, alice, coin))
    assert np.array_equal(his.key, alice_key)
    assert mine.leaked == his.leaked == leakage(sum(told) // 2, 10_000)  # either end tells as many


async def test_each_end_tells_the_parities_of_the_same_ranges_once(
    connect: Connect, both: Both, make_coin: MakeCoin
) -> None:
    """Their messages are of the same lengths, and in all take less than three bytes an error."""
    sizes: dict[str, list[int]] = {"alice": [], "bob": []}

    def listen(sender: str, number: int, message: object) -> list[object]:
        if isinstance(message, Parities):
            sizes[sender].append(len(message.parities))
        return [message]

    alice_key, bob_key = noisy(100_000, 0.02, 6)
    bob, alice = connect(listen)
    coin = make_coin(1)
    mine, _ = await both(answer(alice_key, 0.02, bob, coin), correct(bob_key, 0.02, alice, coin))
    assert sizes["alice"] == sizes["bob"]
    assert sum(sizes["alice"]) * 8 >= mine.leaked - 17 > sum(sizes["alice"]) * 8 - 8 * len(sizes["alice"])
    assert sum(sizes["alice"]) + sum(sizes["bob"]) < 3 * np.count_nonzero(alice_key != bob_key)


async def test_many_parities_go_in_portions_and_cost_nothing_more(
    connect: Connect, both: Both, make_coin: MakeCoin, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialogue: list[tuple[str, int]] = []

    def listen(sender: str, number: int, message: object) -> list[object]:
        dialogue.append((sender, len(message.parities) if isinstance(message, Parities) else 0))
        return [message]

    alice_key, bob_key = noisy(10_000, 0.04, 5)
    told = []
    for most in (10_000, 48):
        monkeypatch.setattr(cascade, "MOST_PARITIES", most)
        dialogue.clear()
        bob, alice = connect(listen)
        coin = make_coin(1)
        mine, his = await both(answer(alice_key, 0.04, bob, coin), correct(bob_key, 0.04, alice, coin))
        assert np.array_equal(his.key, alice_key)
        assert mine.leaked == his.leaked
        assert max(length for _, length in dialogue) <= most // 8 + 1
        told.append(mine.leaked)
    assert told[0] == told[1]
    # the 312 blocks of the first pass go in seven portions, none of which waits for the peer's
    assert [length for sender, length in dialogue if sender == "alice"][:7] == [6] * 6 + [3]


async def test_the_largest_message_fits_into_half_a_mebibyte() -> None:
    assert len(packed(np.ones(cascade.MOST_PARITIES, dtype=np.uint8))) == 2**19


def test_the_number_of_parities_is_charged_as_one_of_all_that_it_can_be() -> None:
    assert leakage(100, 1023) == 110
    assert leakage(100, 1024) == 111


async def test_a_corrected_key_is_not_shown(connect: Connect, both: Both, make_coin: MakeCoin) -> None:
    key, _ = noisy(200, 0.0, 6)
    bob, alice = connect()
    coin = make_coin(1)
    for reconciled in await both(answer(key, 0.0, bob, coin), correct(key, 0.0, alice, coin)):
        assert re.fullmatch(r"<200 bits, equal to the peer's after \d+ leaked bits>", repr(reconciled))


async def test_long_work_is_done_beside_the_event_loop(
    connect: Connect, both: Both, make_coin: MakeCoin, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, here, worked = Search.learn, get_ident(), []

    def noted(search: Search, differ: Bits) -> None:
        worked.append((differ.size, get_ident() == here))
        learn(search, differ)

    monkeypatch.setattr(Search, "learn", noted)
    alice_key, bob_key = noisy(200_000, 0.05, 8)
    bob, alice = connect()
    coin = make_coin(1)
    await both(answer(alice_key, 0.05, bob, coin), correct(bob_key, 0.05, alice, coin))
    assert {inside for size, inside in worked if size > 5000} == {False}
    assert {inside for size, inside in worked if size < 100} == {True}


@pytest.mark.parametrize("bits", [0, 1, 24, 33, 1000])
async def test_either_end_refuses_another_number_of_parities_than_are_due(
    bits: int, connect: Connect, make_coin: MakeCoin
) -> None:
    """A key of 1000 bits at 3 % has 31 blocks in the first pass."""
    bob, alice = connect()
    key = np.zeros(1000, dtype=np.uint8)
    parities = Parities(packed(np.zeros(bits, dtype=np.uint8)))
    await bob.send(parities)
    with pytest.raises(ProtocolViolation, match="were due"):
        await correct(key, 0.03, alice, make_coin(1))
    bob, alice = connect()
    await alice.send(Shuffle(b"seed"))
    await alice.send(parities)
    with pytest.raises(ProtocolViolation, match="were due"):
        await answer(key, 0.03, bob, make_coin(1))


@pytest.mark.parametrize("target", range(0, 40, 3))
async def test_parities_altered_on_the_way_end_the_dialogue_or_leave_errors(
    target: int, connect: Connect, both: Both, make_coin: MakeCoin
) -> None:
    """Authentication finds out; until then neither end runs on for ever, nor says more than its key has bits."""
    told: list[int] = []

    def alter(sender: str, number: int, message: object) -> list[object]:
        if not isinstance(message, Parities):
            return [message]
        told.append(8 * len(message.parities))
        if sender == "alice" and number == target:
            return [Parities(bytes(byte ^ 0xFF for byte in message.parities))]
        return [message]

    alice_key, bob_key = noisy(2000, 0.05, target)
    bob, alice = connect(alter)
    coin = make_coin(1)
    steps = (answer(alice_key, 0.05, bob, coin), correct(bob_key, 0.05, alice, coin))
    tasks = [asyncio.ensure_future(asyncio.wait_for(step, 5.0)) for step in steps]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in pending:
        task.cancel()
    failures = [task.exception() for task in done if task.exception()]
    assert all(isinstance(failure, ProtocolViolation) for failure in failures)
    keys = [task.result().key for task in done if not task.exception()]
    assert failures or not np.array_equal(keys[0], keys[1])
    assert sum(told) < 2 * 14 * 8 * 2000
