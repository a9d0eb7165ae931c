"""Keys that differ are found out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from fractions import Fraction
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.errors import KeyRefused, ProtocolViolation
from nodes.ports import Coin, Peer
from nodes.qkd import verification
from nodes.qkd.verification import Check, tag_length, verify_as_alice, verify_as_bob

Connect = Callable[..., tuple[Peer, Peer]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]

KEY = np.random.default_rng(1).integers(0, 2, 1000, dtype=np.uint8)


async def test_equal_keys_pass(connect: Connect, both: Both, make_coin: MakeCoin) -> None:
    bob, alice = connect()
    assert await both(verify_as_alice(KEY, 1e-10, bob, make_coin(1)), verify_as_bob(KEY, 1e-10, alice)) == (
        None,
        None,
    )


@pytest.mark.parametrize("bit", [0, 1, 500, 999])
async def test_one_wrong_bit_is_found_by_both(
    connect: Connect, both: Both, make_coin: MakeCoin, bit: int
) -> None:
    wrong = KEY.copy()
    wrong[bit] ^= 1
    bob, alice = connect()
    mine, his = await both(verify_as_alice(KEY, 1e-10, bob, make_coin(1)), verify_as_bob(wrong, 1e-10, alice))
    assert isinstance(mine, KeyRefused)
    assert isinstance(his, KeyRefused)
    assert mine.reason == his.reason


@given(st.floats(-300, -0.01))
def test_the_tag_is_as_long_as_the_failure_probability_asks(exponent: float) -> None:
    failure = Fraction(10**exponent)
    length, common = tag_length(10**exponent), Fraction(1, 2**80)
    points = verification._point_count(10**exponent)
    assert Fraction(1, 2**length) + common**points <= failure
    assert points == 1 or Fraction(1, 2**length) + common ** (points - 1) > failure
    # a key is charged log2(2 / failure), not rounded up, and the tag is no longer than that
    assert 2**length * failure <= 2 < 2 ** (length + 1) * failure


@pytest.mark.parametrize("failure", [1e-10, 1e-15, 1e-30])
async def test_what_is_said_does_not_grow_with_the_key(
    failure: float, connect: Connect, both: Both, make_coin: MakeCoin
) -> None:
    said: list[Check] = []

    def listen(sender: str, number: int, message: object) -> list[object]:
        said.extend([message] if isinstance(message, Check) else [])
        return [message]

    for key in (KEY, np.tile(KEY, 1000)):
        bob, alice = connect(listen)
        verified = verify_as_alice(key, failure, bob, make_coin(1)), verify_as_bob(key, failure, alice)
        assert await both(*verified) == (None, None)
    assert [len(check.seed) for check in said] == [len(said[0].seed)] * 2
    assert 8 * len(said[0].tag) < tag_length(failure) + 8


def test_different_keys_pass_as_rarely_as_the_tag_says() -> None:
    """A tag of 4 bits: of 1024 random choices of point and matrix 1/16, but for 4.9 deviations (1e-6)."""
    rng, failure = np.random.default_rng(2), 1 / 15
    assert tag_length(failure) == 4
    other = KEY.copy()
    other[[3, 700]] ^= 1
    passed = 0
    for _ in range(1024):
        points, seed = rng.bytes(16), rng.integers(0, 2, 127, dtype=np.uint8)
        mine, his = (verification._tag(key, points, seed, failure) for key in (KEY, other))
        passed += np.array_equal(mine, his)
    assert abs(passed - 64) <= 4.9 * sqrt(64 * 15 / 16)


def test_a_key_that_is_too_long_to_be_verified_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "LONGEST_KEY", 999)
    with pytest.raises(ValueError, match="1000 bits is longer"):
        verification._tag(KEY, bytes(16), np.zeros(127, np.uint8), 1e-10)


@pytest.mark.parametrize(
    "check",
    [
        Check(bytes(15), bytes(16), bytes(5)),
        Check(bytes(16), bytes(15), bytes(5)),
        Check(bytes(16), bytes(16), bytes(4)),
    ],
)
async def test_points_seeds_and_tags_of_another_length_are_violations(connect: Connect, check: Check) -> None:
    bob, alice = connect()
    await bob.send(check)
    with pytest.raises(ProtocolViolation):
        await verify_as_bob(KEY, 1e-10, alice)
