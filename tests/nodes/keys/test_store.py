"""The key store: delivered once, whole, and only by who has the wrapping key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.keys.errors import (
    BlockRepeated,
    KeysExhausted,
    NotEntitled,
    Reproducible,
    StoreBusy,
    StoreCorrupted,
    StoreForeign,
    StoreFull,
    UnitsUnknown,
    UnknownKeyIds,
    WrongWrappingKey,
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


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


def test_two_threads_never_get_the_same_unit(path: Path) -> None:
    store = KeyStore(path, KEK)
    store.deposit("bob", "block", key_of_units(400), "qkd", False)
    with ThreadPoolExecutor(4) as pool:
        takers = [pool.submit(lambda: [store.take("bob", 32)[0] for _ in range(100)]) for _ in range(4)]
        taken = [one.units[0] for taker in takers for one in taker.result()]
    assert len(set(taken)) == 400
    assert store.level("bob").units == 0
    store.close()


def test_what_was_taken_stays_gone_when_the_store_is_opened_again(path: Path) -> None:
    store = KeyStore(path, KEK)
    store.deposit("bob", "block", key_of_units(5), "qkd", False)
    (first,) = store.take("bob", 32)
    store.close()
    store = KeyStore(path, KEK)
    assert first.units[0] == Unit("block", 0)
    assert [one.units[0].index for one in store.take("bob", 32, 4)] == [1, 2, 3, 4]
    store.close()


def test_no_file_holds_a_byte_of_key_before_or_after_a_checkpoint(path: Path) -> None:
    key = key_of_units(300)
    needles = [key[start : start + 8] for start in range(0, len(key), 8)]
    store = KeyStore(path, KEK)
    store.deposit("bob", "block", key, "qkd", False)
    taken = store.take("bob", 32, 100)
    store.hold([Held("held", taken[0].secret, False)], CLAIM, 10)
    before = files_of(path)
    store.scrub()
    after = files_of(path)
    store.close()
    assert len(before) > len(key)
    assert not [1 for needle in needles if needle in before or needle in after or needle in files_of(path)]
    assert KEK not in before + after


def test_deleted_units_leave_not_even_their_wrapping_after_a_checkpoint(path: Path) -> None:
    store = KeyStore(path, KEK)
    store.deposit("bob", "block", key_of_units(300), "qkd", False)
    store.scrub()
    wrapped = [blob for one in store.take("bob", 32, 300) for blob in one.wrapped]
    assert all(blob in files_of(path) for blob in wrapped)
    store.scrub()
    assert not [1 for blob in wrapped if blob in files_of(path)]
    store.close()


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    store = KeyStore(path, KEK)
    store.deposit("bob", "block", key_of_units(1), "qkd", False)
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    store.close()


def test_another_wrapping_key_is_recognised_and_changes_nothing(path: Path) -> None:
    store = KeyStore(path, KEK)
    store.deposit("bob", "block", key_of_units(2), "qkd", False)
    store.close()
    with pytest.raises(WrongWrappingKey, match=r"keys\.db was made with another key-encryption key"):
        KeyStore(path, bytes(32))
    store = KeyStore(path, KEK)
    assert store.level("bob").units == 2
    store.close()


def edit(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE units SET wrapped=(SELECT wrapped FROM units WHERE position=1) WHERE position=0",
        "UPDATE units SET wrapped=zeroblob(48) WHERE position=0",
        "UPDATE blocks SET pool='charlie'",
        "UPDATE blocks SET block='another'",
        "UPDATE blocks SET salt=zeroblob(16)",
    ],
    ids=["exchanged", "overwritten", "another pool", "another block", "another salt"],
)
def test_a_wrapped_unit_opens_in_its_own_place_only(path: Path, statement: str) -> None:
    store = KeyStore(path, KEK)
    store.deposit("bob", "block", key_of_units(2), "qkd", False)
    store.close()
    edit(path, statement)
    store = KeyStore(path, KEK)
    with pytest.raises(StoreCorrupted, match=r"wrapped key \d of .* does not open"):
        store.take("charlie" if "charlie" in statement else "bob", 32, 2)
    store.close()


def test_a_held_key_opens_for_its_slave_only(path: Path) -> None:
    store = KeyStore(path, KEK)
    store.hold([Held("key", Secret(bytes(32)), False)], Claim("bob", "master", ("slave",), 0.0), 10)
    store.close()
    edit(path, "UPDATE held SET slave='thief'")
    store = KeyStore(path, KEK)
    with pytest.raises(StoreCorrupted):
        store.release(["key"], "master", "thief", 1.0)
    store.close()


def test_files_that_are_no_key_store_are_refused(path: Path) -> None:
    path.write_bytes(b"not a database at all, but long enough to be taken for one" * 100)
    with pytest.raises(StoreForeign, match="is not a database"):
        KeyStore(path, KEK)
    path.unlink()
    edit(path, "CREATE TABLE recipes (name TEXT)")
    with pytest.raises(StoreForeign, match="database of another program"):
        KeyStore(path, KEK)


def test_a_store_of_another_version_is_refused(path: Path) -> None:
    KeyStore(path, KEK).close()
    edit(path, "PRAGMA user_version=7")
    with pytest.raises(StoreForeign, match="key store of version 7, and this program works with version 1"):
        KeyStore(path, KEK)


def test_a_damaged_file_is_recognised(path: Path) -> None:
    store = KeyStore(path, KEK)
    store.deposit("bob", "block", key_of_units(1000), "qkd", False)
    store.close()
    content = bytearray(path.read_bytes())
    for page in range(6, len(content) // 4096):
        content[4096 * page : 4096 * page + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(StoreCorrupted, match="is damaged"):
        KeyStore(path, KEK)


def test_a_full_disk_is_told_and_the_block_is_not_there(path: Path) -> None:
    store = KeyStore(path, KEK)
    store._database._connection.execute("PRAGMA max_page_count=20")
    with pytest.raises(StoreFull, match="is full; nothing was changed"):
        store.deposit("bob", "block", key_of_units(4000), "qkd", False)
    assert store.find("bob", "block") is None
    assert store.deposit("bob", "block", key_of_units(8), "qkd", False) == 8
    assert len(store.take("bob", 32, 8)) == 8
    store.close()


def test_a_store_that_another_process_keeps_is_told_apart(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodes.keys.store_schema._BUSY_SECONDS", 0.05)
    store = KeyStore(path, KEK)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="another process"):
        store.deposit("bob", "block", key_of_units(1), "qkd", False)
    other.execute("ROLLBACK")
    other.close()
    assert store.deposit("bob", "block", key_of_units(1), "qkd", False) == 1
    store.close()
