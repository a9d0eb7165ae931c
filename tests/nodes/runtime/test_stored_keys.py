"""What roles see of their node's key store: keys that both ends have, each once."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.errors import ProgramInvalid
from nodes.keys.errors import BlockRepeated, KeysExhausted, UnitsUnknown
from nodes.keys.store import KeyStore
from nodes.ports import Coin
from nodes.qkd.key import Key
from nodes.runtime.coin import make_coin
from nodes.runtime.stored_keys import Settle, StoredKeys

KEK = b"k" * 32


def ends(settle: Settle | None = None) -> tuple[StoredKeys, StoredKeys]:
    """What alice has with bob, and he with her."""
    alice, bob = KeyStore(None, KEK), KeyStore(None, KEK)
    return (
        StoredKeys(alice, "bob", reproducible=True, settle=settle),
        StoredKeys(bob, "alice", reproducible=True, newest=True, settle=settle),
    )


def drawn(bits: int, coin: Coin | None = None) -> Key:
    return Key((coin or make_coin(1, "keys")).bits(bits))


async def test_a_ticket_leads_the_peer_to_the_same_key_once() -> None:
    alice, bob = ends()
    key = drawn(1024)
    assert await alice.put("one", key) == await bob.put("one", key) == 1024
    taken, ticket = await alice.take(512)
    assert np.array_equal(taken.bits(), key.bits()[:512])
    assert await bob.redeem(ticket, 512) == taken
    with pytest.raises(UnitsUnknown):
        await bob.redeem(ticket, 512)
    assert await alice.stored_bits() == await bob.stored_bits() == 512


async def test_both_ends_take_at_once_and_never_the_same() -> None:
    alice, bob = ends()
    coin = make_coin(1, "keys")
    for name in ("one", "two", "three"):
        key = drawn(512, coin)
        await alice.put(name, key)
        await bob.put(name, key)
    crossing = [(await alice.take(256), await bob.take(256)) for _ in range(3)]
    for mine, his in crossing:
        assert await bob.redeem(mine.ticket, 256) == mine.key
        assert await alice.redeem(his.ticket, 256) == his.key
    tickets = {taken.ticket for pair in crossing for taken in pair}
    assert len(tickets) == 6
    assert await alice.stored_bits() == await bob.stored_bits() == 0


async def test_what_waits_to_be_settled_can_be_redeemed_and_not_taken() -> None:
    asked: list[tuple[str, str]] = []

    async def settle(peer: str, block: str) -> None:
        asked.append((peer, block))

    (alice, _), (_, bob) = ends(settle), ends()
    key = drawn(512)
    await alice.put("one", key)
    await bob.put("one", key)
    assert asked == [("bob", "one")]
    with pytest.raises(KeysExhausted):
        await alice.take(256)
    taken, ticket = await bob.take(256)
    assert await alice.redeem(ticket, 256) == taken
    alice.store.confirm("bob", "one")
    assert await alice.stored_bits() == 256


async def test_bits_that_fill_no_unit_are_dropped_and_no_block_comes_twice() -> None:
    alice, _ = ends()
    assert await alice.put("one", drawn(300)) == 256
    assert await alice.put("none", drawn(255)) == 0
    with pytest.raises(BlockRepeated):
        await alice.put("one", drawn(300))
    assert await alice.stored_bits() == 256


@pytest.mark.parametrize("bits", [0, 7, 257, -8])
async def test_a_key_has_whole_bytes(bits: int) -> None:
    alice, _ = ends()
    await alice.put("one", drawn(1024))
    with pytest.raises(ProgramInvalid, match="multiple of 8"):
        await alice.take(bits)
    assert await alice.stored_bits() == 1024


async def test_nobody_has_a_key_for_a_ticket_of_nothing() -> None:
    alice, bob = ends()
    await alice.put("one", drawn(256))
    with pytest.raises(UnitsUnknown, match="never deposited"):
        await bob.redeem((await alice.take(256)).ticket, 256)
    with pytest.raises(KeysExhausted):
        await alice.take(256)
