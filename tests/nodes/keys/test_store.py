"""The key store: delivered once, whole, and only by who has the wrapping key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.keys.errors import (
    BlockRepeated,
    KeysExhausted,
    NotEntitled,
    Reproducible,
    UnitsUnknown,
    UnknownKeyIds,
)
from nodes.keys.held import Claim
from nodes.keys.secret import Secret
from nodes.keys.store import KeyStore
from nodes.keys.units import UNIT_BYTES, Held, PoolLevel, Refusal, ReservedKey, Unit
from tests.nodes.keys.key_lab import KEK, key_of_units

CLAIM = Claim("bob", "sae-bob", ("sae-alice",), 0.0)


@pytest.fixture
def store() -> Iterator[KeyStore]:
    opened = KeyStore(None, KEK)
    yield opened
    opened.close()


@settings(deadline=None)
@given(size=st.integers(1, 200), count=st.integers(1, 9), newest=st.booleans())
def test_both_ends_cut_the_same_key_from_the_same_units(size: int, count: int, newest: bool) -> None:
    key = key_of_units(64)
    alice, bob = KeyStore(None, KEK), KeyStore(None, bytes(32))
    for store, pool in ((alice, "bob"), (bob, "alice")):
        store.deposit(pool, "block", key, "qkd", False)
    taken = alice.take("bob", size, count, newest=newest)
    assert [len(one.secret) for one in taken] == [size] * count
    for one in taken:
        assert bob.redeem("alice", one.units, size).secret == one.secret
    assert alice.level("bob").units == bob.level("alice").units == 64 - count * -(-size // UNIT_BYTES)
    alice.close()
    bob.close()


def test_the_ends_of_a_pool_meet_only_when_it_is_empty(store: KeyStore) -> None:
    store.deposit("bob", "first", key_of_units(3), "qkd", False)
    store.deposit("bob", "second", key_of_units(3), "qkd", False)
    oldest = [store.take("bob", 32)[0].units[0] for _ in range(3)]
    newest = [store.take("bob", 32, newest=True)[0].units[0] for _ in range(3)]
    assert oldest == [Unit("first", 0), Unit("first", 1), Unit("first", 2)]
    assert newest == [Unit("second", 2), Unit("second", 1), Unit("second", 0)]
    with pytest.raises(KeysExhausted):
        store.take("bob", 1)


def test_bits_left_over_less_than_a_unit_are_dropped(store: KeyStore) -> None:
    assert store.deposit("bob", "block", bytes(UNIT_BYTES * 2 + 31), "qkd", False) == 2
    assert store.level("bob") == PoolLevel("bob", 2, 0, 0, ("qkd",))


def test_a_block_comes_once_even_when_all_of_it_is_spent(store: KeyStore) -> None:
    store.deposit("bob", "block", key_of_units(2), "qkd", False)
    store.take("bob", 32, 2)
    with pytest.raises(BlockRepeated, match="block 'block' of pool 'bob'"):
        store.deposit("bob", "block", key_of_units(2), "qkd", False)
    assert store.level("bob").units == 0
    assert store.deposit("charlie", "block", key_of_units(2), "qkd", False) == 2


def test_too_little_is_left_untouched(store: KeyStore) -> None:
    store.deposit("bob", "block", key_of_units(3), "qkd", False)
    with pytest.raises(KeysExhausted, match=r"4 units .* are needed and 3 are stored"):
        store.take("bob", 64, 2)
    assert store.level("bob").units == 3


def test_reproducible_key_is_given_only_to_who_accepts_it(store: KeyStore) -> None:
    store.deposit("bob", "seeded", key_of_units(2), "qkd", True)
    store.deposit("bob", "secret", key_of_units(1), "qkd", False)
    (secret,) = store.take("bob", 32, reproducible_too=False)
    assert secret.units == (Unit("secret", 0),)
    assert not secret.reproducible
    with pytest.raises(Reproducible):
        store.take("bob", 32, reproducible_too=False)
    with pytest.raises(KeysExhausted):
        store.take("bob", 32, 3, reproducible_too=False)
    assert [one.reproducible for one in store.take("bob", 32, 2)] == [True, True]


def test_a_block_that_is_not_confirmed_can_be_redeemed_but_not_taken(store: KeyStore) -> None:
    store.deposit("bob", "block", key_of_units(2), "qkd", False, ready=False)
    with pytest.raises(KeysExhausted):
        store.take("bob", 32)
    assert store.level("bob") == PoolLevel("bob", 0, 0, 2, ("qkd",))
    store.redeem("bob", [Unit("block", 0)], 32)
    assert store.confirm("bob", "block")
    assert store.take("bob", 32)[0].units == (Unit("block", 1),)
    assert not store.confirm("bob", "another")


def test_units_that_are_not_here_are_named_by_reason_and_the_rest_stays(store: KeyStore) -> None:
    store.deposit("bob", "block", key_of_units(3), "qkd", False)
    store.redeem("bob", [Unit("block", 0)], 32)
    with pytest.raises(UnitsUnknown) as spent:
        store.redeem("bob", [Unit("block", 0), Unit("block", 1)], 64)
    assert spent.value.blocks == ()
    with pytest.raises(UnitsUnknown) as never:
        store.redeem("bob", [Unit("other", 0), Unit("block", 1)], 64)
    assert never.value.blocks == ("other",)
    assert store.level("bob").units == 2


def test_restored_units_are_as_they_were(store: KeyStore) -> None:
    store.deposit("bob", "block", key_of_units(4), "qkd", False)
    taken = store.take("bob", 33, 2)
    store.restore("bob", taken)
    assert store.level("bob").units == 4
    assert store.take("bob", 33, 2) == taken


def test_a_reservation_that_comes_again_changes_nothing(store: KeyStore) -> None:
    store.deposit("bob", "block", key_of_units(4), "qkd", False)
    keys = [
        ReservedKey("one", (Unit("block", 0),)),
        ReservedKey("two", (Unit("block", 0), Unit("block", 1))),
        ReservedKey("three", (Unit("never", 0), Unit("block", 2))),
    ]
    refused = {"two": Refusal.SPENT, "three": Refusal.UNKNOWN_BLOCK}
    assert store.reserve(keys, 32, CLAIM, 10) == refused
    assert store.level("bob").units == 1  # what was left of the refused ones is useless at the other end, too
    assert store.reserve(keys, 32, CLAIM, 10) == refused
    (held,) = store.release(["one"], "sae-bob", "sae-alice", 1.0)
    assert store.reserve(keys, 32, CLAIM, 10) == refused  # and not even a collected key comes again
    with pytest.raises(UnknownKeyIds):
        store.release(["one"], "sae-bob", "sae-alice", 2.0)
    assert held.secret.reveal() == key_of_units(4)[:32]


def test_a_full_waiting_room_leaves_the_units_alone(store: KeyStore) -> None:
    store.deposit("bob", "block", key_of_units(2), "qkd", False)
    keys = [ReservedKey(f"{index}", (Unit("block", index),)) for index in range(2)]
    assert store.reserve(keys, 32, CLAIM, 1) == {"1": Refusal.FULL}
    assert store.level("bob").units == 1
    assert not store.hold([Held("2", Secret(bytes(32)), False)], CLAIM, 1)
    store.release(["0"], "sae-bob", "sae-alice", 1.0)
    assert store.reserve(keys[1:], 32, CLAIM, 1) == {}


def test_a_key_waits_for_each_slave_and_is_collected_by_each_once(store: KeyStore) -> None:
    claim = Claim("bob", "master", ("one", "two"), 0.0)
    store.hold([Held("key", Secret(b"k" * 32), True)], claim, 10)
    store.hold([Held("key", Secret(b"k" * 32), True)], claim, 10)
    for slave in ("one", "two"):
        (held,) = store.release(["key"], "master", slave, 1.0)
        assert (held.secret.reveal(), held.reproducible) == (b"k" * 32, True)
        with pytest.raises(UnknownKeyIds):
            store.release(["key"], "master", slave, 1.0)


def test_nobody_collects_a_key_that_was_made_for_others(store: KeyStore) -> None:
    store.hold([Held("key", Secret(b"k" * 32), False)], Claim("bob", "master", ("slave",), 0.0), 10)
    for master, slave in (("master", "another"), ("another", "slave"), ("slave", "master")):
        with pytest.raises(NotEntitled):
            store.release(["key"], master, slave, 1.0)
    with pytest.raises(UnknownKeyIds) as unknown:
        store.release(["key", "nothing"], "master", "slave", 1.0)
    assert unknown.value.key_ids == ("nothing",)
    assert len(store.release(["key"], "master", "slave", 1.0)) == 1


def test_withdrawn_and_expired_keys_are_gone(store: KeyStore) -> None:
    for name, pool, at in (("a", "bob", 0.0), ("b", "charlie", 0.0), ("c", "bob", 5.0)):
        store.hold([Held(name, Secret(bytes(32)), False)], Claim(pool, "master", ("slave",), at), 10)
    assert store.withdraw("bob", ["a", "b"], 6.0) == 1
    assert store.expire(4.0, 7.0) == 1
    for name in ("a", "b"):
        with pytest.raises(UnknownKeyIds):
            store.release([name], "master", "slave", 8.0)
    store.release(["c"], "master", "slave", 8.0)


def test_a_transformed_block_takes_the_place_of_the_old_one_or_nothing_happens(store: KeyStore) -> None:
    store.deposit("bob", "raw", key_of_units(4), "qkd", True, ready=False)
    raw = store.find("bob", "raw")
    assert raw is not None
    with pytest.raises(ZeroDivisionError):
        store.transform(raw, "new", "hybrid", lambda key: bytes(1 // (len(key) - 128)))
    assert store.find("bob", "raw") == raw
    assert store.transform(raw, "new", "hybrid", lambda key: key[::-1]) == 4
    assert store.level("bob") == PoolLevel("bob", 0, 0, 4, ("hybrid",))
    store.confirm("bob", "new")
    (taken,) = store.take("bob", 128)
    assert taken.secret.reveal() == key_of_units(4)[::-1]
    assert not taken.reproducible
    with pytest.raises(UnitsUnknown):
        store.transform(raw, "newer", "hybrid", lambda key: key)
