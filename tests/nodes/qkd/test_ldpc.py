"""One-way error correction: keys end up equal, whatever the error rate, and what was told is charged at both ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import ceil, log2
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodes.codec import encode
from nodes.errors import ProtocolViolation
from nodes.ports import Bits, Coin, Peer
from nodes.qkd import ldpc
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.ldpc import Interleaver, Syndrome, Wishes, answer, correct, leakage
from nodes.qkd.ldpc_layout import lay_out

Connect = Callable[..., tuple[Peer, Peer]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]


def noisy(size: int, qber: float, seed: int) -> tuple[Bits, Bits]:
    rng = np.random.default_rng(seed)
    alice = rng.integers(0, 2, size, dtype=np.uint8)
    return alice, alice ^ (rng.random(size) < qber).astype(np.uint8)


class Dialogue:
    """A dialogue overheard: its messages in order, and what both roles returned."""

    def __init__(self, connect: Connect, both: Both, make_coin: MakeCoin) -> None:
        self._connect, self._both, self._make_coin = connect, both, make_coin
        self.heard: list[object] = []

    async def run(self, alice_key: Bits, bob_key: Bits, qber: float) -> tuple[Any, Any]:
        def listen(sender: str, number: int, message: object) -> list[object]:
            self.heard.append(message)
            return [message]

        bob, alice = self._connect(listen)
        coins = self._make_coin(1), self._make_coin(2)
        return await self._both(
            answer(alice_key, qber, bob, coins[0]), correct(bob_key, qber, alice, coins[1]), seconds=60.0
        )

    @property
    def wishes(self) -> list[Wishes]:
        return [message for message in self.heard if isinstance(message, Wishes)]


@pytest.fixture
def dialogue(connect: Connect, both: Both, make_coin: MakeCoin) -> Dialogue:
    return Dialogue(connect, both, make_coin)


@pytest.mark.thorough
@settings(
    deadline=None,
    max_examples=12,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    size=st.integers(1, 6000),
    qber=st.floats(0.0, 0.25),
    expected=st.floats(0.0, 0.3),
    seed=st.integers(0, 2**32 - 1),
)
async def test_keys_end_up_equal_whatever_is_expected(
    size: int, qber: float, expected: float, seed: int, connect: Connect, both: Both, make_coin: MakeCoin
) -> None:
    """One in some thousand frames as short as these has other errors of the same syndrome: the examples are fixed."""
    alice_key, bob_key = noisy(size, qber, seed)
    mine, his = await Dialogue(connect, both, make_coin).run(alice_key, bob_key, expected)
    assert np.array_equal(mine.key, alice_key)
    assert np.array_equal(his.key, alice_key)
    assert mine.leaked == his.leaked <= size


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("qber", "most"), [(0.0025, 1.6), (0.005, 1.35), (0.01, 1.25), (0.02, 1.2), (0.05, 1.15), (0.11, 1.15)]
)
async def test_a_long_key_is_corrected_in_one_go(dialogue: Dialogue, qber: float, most: float) -> None:
    """``most`` is what is charged over n h(Q). One frame in thirty needs more; the seed makes it the same always."""
    alice_key, bob_key = noisy(80_000, qber, 7)
    mine, his = await dialogue.run(alice_key, bob_key, qber)
    assert np.array_equal(his.key, alice_key)
    assert mine.leaked == his.leaked
    assert 1.0 < his.leaked / alice_key.size / binary_entropy(float(np.mean(alice_key != bob_key))) < most
    assert [type(message) for message in dialogue.heard] == [Interleaver, Syndrome, Wishes]


@pytest.mark.parametrize(
    ("qber", "expected", "most"),
    [(0.02, 0.01, 1.4), (0.01, 0.02, 2.2), (0.04, 0.0, 1.45), (0.0, 0.02, np.inf), (0.25, 0.02, np.inf)],
)
async def test_a_wrong_expectation_costs_parities_but_no_errors(
    dialogue: Dialogue, qber: float, expected: float, most: float
) -> None:
    alice_key, bob_key = noisy(40_000, qber, 5)
    mine, his = await dialogue.run(alice_key, bob_key, expected)
    assert np.array_equal(his.key, alice_key)
    assert mine.leaked == his.leaked
    if qber > 0:
        assert his.leaked < most * alice_key.size * binary_entropy(qber)
    assert len(dialogue.wishes) <= 12


@pytest.mark.parametrize(
    ("size", "qber", "expected"), [(60_000, 0.02, 0.01), (20_000, 0.01, 0.01), (1200, 0.05, 0.0)]
)
async def test_every_parity_in_a_message_is_charged(
    dialogue: Dialogue, size: int, qber: float, expected: float
) -> None:
    alice_key, bob_key = noisy(size, qber, 11)
    mine, _ = await dialogue.run(alice_key, bob_key, expected)
    layout = lay_out(size, expected)
    assert layout.code is not None
    rows = len(layout.code.rows) + sum(int.from_bytes(message.rows, "little") for message in dialogue.wishes)
    told = sum(len(message.bits) * 8 for message in dialogue.heard if isinstance(message, Syndrome))
    assert mine.leaked == leakage(rows * layout.code.lift, size)
    assert rows * layout.code.lift <= told <= rows * layout.code.lift + 7 * len(dialogue.wishes)


async def test_a_frame_that_is_told_whole_is_charged_for_each_bit_once(dialogue: Dialogue) -> None:
    alice_key, bob_key = noisy(4000, 0.4, 3)
    mine, his = await dialogue.run(alice_key, bob_key, 0.01)
    assert dialogue.wishes[-2].rows == b"\xff\xff"
    assert mine.leaked == his.leaked == 4000
    assert np.array_equal(his.key, alice_key)


@pytest.mark.parametrize("size", [1, 7, 255])
async def test_a_short_key_is_told_bit_by_bit(dialogue: Dialogue, size: int) -> None:
    alice_key, bob_key = noisy(size, 0.5, 3)
    mine, his = await dialogue.run(alice_key, bob_key, 0.01)
    assert np.array_equal(his.key, alice_key)
    assert mine.leaked == his.leaked == size
    assert [type(message) for message in dialogue.heard] == [Interleaver, Syndrome]


def test_the_amount_told_is_charged_as_one_of_all_that_it_can_be() -> None:
    assert leakage(100, 1023) == 100 + ceil(log2(1024))
    assert leakage(100, 1024) == 111
    assert leakage(1020, 1024) == 1024


async def test_long_syndromes_go_in_portions(dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch) -> None:
    alice_key, bob_key = noisy(30_000, 0.02, 4)
    whole = await dialogue.run(alice_key, bob_key, 0.02)
    monkeypatch.setattr(ldpc, "MOST_BITS", 1000)
    dialogue.heard.clear()
    parts = await dialogue.run(alice_key, bob_key, 0.02)
    assert [one.leaked for one in parts] == [one.leaked for one in whole]
    assert np.array_equal(parts[1].key, alice_key)
    assert sum(isinstance(message, Syndrome) for message in dialogue.heard) == ceil(whole[0].leaked / 1000)


@pytest.mark.thorough
async def test_ten_million_bits_travel_in_messages_below_half_a_mebibyte(dialogue: Dialogue) -> None:
    alice_key, bob_key = noisy(10_000_000, 0.03, 4)
    mine, his = await dialogue.run(alice_key, bob_key, 0.03)
    assert np.array_equal(his.key, alice_key)
    assert mine.leaked == his.leaked < 1.15 * alice_key.size * binary_entropy(0.03)
    assert max(len(encode(message)) for message in dialogue.heard) < 2**19


async def test_the_event_loop_runs_on_while_bob_decodes(dialogue: Dialogue) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    alice_key, bob_key = noisy(200_000, 0.02, 4)
    ticking = asyncio.create_task(tick())
    await dialogue.run(alice_key, bob_key, 0.02)
    ticking.cancel()
    assert ticks > 100


async def test_a_corrected_key_is_not_shown(dialogue: Dialogue) -> None:
    key, _ = noisy(500, 0.0, 6)
    for reconciled in await dialogue.run(key, key, 0.01):
        assert re.fullmatch(r"<500 bits, equal to the peer's after \d+ leaked bits>", repr(reconciled))


@pytest.mark.parametrize("frames", [b"", b"\0", b"\0\0\0\0"])
async def test_alice_refuses_wishes_for_frames_that_are_not_there(
    connect: Connect, make_coin: MakeCoin, frames: bytes
) -> None:
    bob, alice = connect()
    await alice.send(Wishes(frames))
    with pytest.raises(ProtocolViolation, match="1 frames"):
        await answer(np.zeros(5000, dtype=np.uint8), 0.02, bob, make_coin(1))


@pytest.mark.parametrize("wishes", [[625], [60_000], [200, 500], [0xFFFF, 1], [0xFFFF, 0xFFFF]])
async def test_alice_refuses_wishes_for_more_than_there_is(
    connect: Connect, make_coin: MakeCoin, wishes: list[int]
) -> None:
    bob, alice = connect()
    for rows in wishes:
        await alice.send(Wishes(rows.to_bytes(2, "little")))
    with pytest.raises(ProtocolViolation, match="more rows"):
        await answer(np.zeros(5000, dtype=np.uint8), 0.02, bob, make_coin(1))


@pytest.mark.parametrize("size", [200, 5000])
@pytest.mark.parametrize("altered", [b"", b"1234"])
async def test_bob_refuses_syndromes_of_another_length(
    connect: Connect, both: Both, make_coin: MakeCoin, size: int, altered: bytes
) -> None:
    def alter(sender: str, number: int, message: object) -> list[object]:
        return [replace(message, bits=altered) if isinstance(message, Syndrome) else message]

    bob, alice = connect(alter)
    key = np.zeros(size, dtype=np.uint8)
    mine = asyncio.create_task(answer(key, 0.02, bob, make_coin(1)))
    with pytest.raises(ProtocolViolation, match="were due"):
        await correct(key, 0.02, alice, make_coin(2))
    mine.cancel()


async def test_parties_that_expect_different_error_rates_notice(
    connect: Connect, make_coin: MakeCoin
) -> None:
    bob, alice = connect()
    key = np.zeros(5000, dtype=np.uint8)
    mine = asyncio.create_task(answer(key, 0.02, bob, make_coin(1)))
    with pytest.raises(ProtocolViolation, match="were due"):
        await correct(key, 0.05, alice, make_coin(2))
    mine.cancel()
