"""Keys that differ are found out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from nodes.errors import KeyRefused, ProtocolViolation
from nodes.ports import Coin, Peer
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


def test_the_tag_is_as_long_as_the_failure_probability_asks() -> None:
    assert tag_length(0.5) == 1
    assert tag_length(2**-40) == 40
    assert 2 ** -tag_length(1e-10) <= 1e-10 < 2 ** -(tag_length(1e-10) - 1)


async def test_a_seed_of_another_length_is_a_violation(connect: Connect) -> None:
    bob, alice = connect()
    await bob.send(Check(b"short", b"tag"))
    with pytest.raises(ProtocolViolation):
        await verify_as_bob(KEY, 1e-10, alice)
