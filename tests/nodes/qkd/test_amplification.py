"""The secret key is never longer than the bound, and the same at both ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import log2
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nodes.errors import ProtocolViolation
from nodes.ports import Coin, Peer
from nodes.qkd import amplification
from nodes.qkd.amplification import Hashing, amplify_as_alice, amplify_as_bob, secret_length
from nodes.qkd.entropy import binary_entropy

Connect = Callable[..., tuple[Peer, Peer]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]

sizes = st.integers(0, 10**7)
rates = st.floats(0.0, 1.0)
leaks = st.integers(0, 10**7)
failures = st.floats(1e-30, 0.4)


@given(sizes, rates, leaks, failures)
def test_the_length_is_never_above_the_bound(size: int, qber: float, leaked: int, failure: float) -> None:
    length = secret_length(size, qber, leaked, failure)
    bound = size * (1 - binary_entropy(min(qber, 0.5))) - leaked + 2 * log2(2 * failure)
    assert 0 <= length <= max(0.0, bound)
    assert length > bound - 1.001


@given(sizes, rates, rates, leaks, leaks, failures, failures)
def test_the_length_falls_with_all_that_eve_may_know(
    size: int, qber: float, worse: float, leaked: int, more: int, failure: float, smaller: float
) -> None:
    assume(qber <= worse and leaked <= more and smaller <= failure)
    assert secret_length(size, worse, more, smaller) <= secret_length(size, qber, leaked, failure)


@given(sizes, sizes, rates, leaks)
def test_more_bits_never_make_a_shorter_key(size: int, more: int, qber: float, leaked: int) -> None:
    assert secret_length(size + more, qber, leaked, 1e-10) >= secret_length(size, qber, leaked, 1e-10)


def test_from_eleven_percent_on_nothing_is_left() -> None:
    """1 - 2 h(Q) = 0 at Q = 0.11003 (Shor and Preskill 2000), when correction leaks n h(Q)."""
    size = 10**9
    for qber, secret in ((0.1099, True), (0.1102, False)):
        leaked = round(size * binary_entropy(qber))
        assert (secret_length(size, qber, leaked, 1e-10) > 0) is secret


async def test_both_parties_hold_the_same_secret_key(
    connect: Connect, both: Both, make_coin: MakeCoin
) -> None:
    key = np.random.default_rng(1).integers(0, 2, 3000, dtype=np.uint8)
    bob, alice = connect()
    mine, his = await both(amplify_as_alice(key, 1200, bob, make_coin(1)), amplify_as_bob(key, 1200, alice))
    assert np.array_equal(mine, his)
    assert mine.size == 1200


async def test_a_long_seed_comes_in_parts(
    connect: Connect, both: Both, make_coin: MakeCoin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amplification, "PART", 1000)
    heard: list[int] = []

    def listen(sender: str, number: int, message: object) -> list[object]:
        heard.extend([8 * len(message.seed)] if isinstance(message, Hashing) else [])
        return [message]

    key = np.random.default_rng(1).integers(0, 2, 2501, dtype=np.uint8)
    bob, alice = connect(listen)
    mine, his = await both(amplify_as_alice(key, 900, bob, make_coin(1)), amplify_as_bob(key, 900, alice))
    assert np.array_equal(mine, his)
    assert heard == [1000, 1000, 504]


@pytest.mark.parametrize("length", [0, 3000])
async def test_where_there_is_nothing_to_choose_no_seed_is_sent(
    connect: Connect, both: Both, make_coin: MakeCoin, length: int
) -> None:
    key = np.random.default_rng(1).integers(0, 2, 3000, dtype=np.uint8)
    bob, alice = connect()
    mine, his = await both(
        amplify_as_alice(key, length, bob, make_coin(1)), amplify_as_bob(key, length, alice)
    )
    assert np.array_equal(mine, key[3000 - length :])
    assert np.array_equal(his, mine)


async def test_bob_refuses_a_matrix_for_another_length(connect: Connect) -> None:
    bob, alice = connect()
    await bob.send(Hashing(1200, b"\x00" * 100))
    with pytest.raises(ProtocolViolation):
        await amplify_as_bob(np.zeros(3000, dtype=np.uint8), 1200, alice)


@pytest.mark.parametrize("mine", [1199, 1200, 1201])
async def test_where_rounding_makes_a_bit_of_difference_alices_length_counts(
    connect: Connect, both: Both, make_coin: MakeCoin, mine: int
) -> None:
    key = np.random.default_rng(1).integers(0, 2, 3000, dtype=np.uint8)
    bob, alice = connect()
    hers, his = await both(amplify_as_alice(key, mine, bob, make_coin(1)), amplify_as_bob(key, 1200, alice))
    assert np.array_equal(hers, his)
    assert hers.size == mine


@pytest.mark.parametrize(
    ("lengths", "own"), [((1202,), 1200), ((1198,), 1200), ((1201, 1200), 1200), ((0,), 1)]
)
async def test_a_key_of_another_length_than_bob_has_found_secret_is_refused(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, lengths: tuple[int, ...], own: int
) -> None:
    monkeypatch.setattr(amplification, "PART", 1504)
    bob, alice = connect()
    for length, seed in zip(lengths, (bytes(188), bytes(187)), strict=False):
        await bob.send(Hashing(length, seed))
    with pytest.raises(ProtocolViolation, match="are secret"):
        await amplify_as_bob(np.zeros(3000, dtype=np.uint8), own, alice)
