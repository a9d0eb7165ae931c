"""The key store's file: no byte of key in it, and every fault of it has a name."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nodes.keys.errors import (
    StoreBusy,
    StoreCorrupted,
    StoreForeign,
    StoreFull,
    WrongWrappingKey,
)
from nodes.keys.held import Claim
from nodes.keys.secret import Secret
from nodes.keys.store import KeyStore
from nodes.keys.units import Held, Unit
from tests.nodes.keys.key_lab import KEK, key_of_units

CLAIM = Claim("bob", "sae-bob", ("sae-alice",), 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


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
