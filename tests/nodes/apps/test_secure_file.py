"""The programs ``qkd`` and ``send``: a key from photons, and a file under it only if there is a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nodes.apps import key_distribution, secure_file
from nodes.keys.store import KeyStore
from nodes.ports import Clock, Coin, Peer, QuantumLink, SharedSecret
from nodes.qkd.key import Key
from nodes.runtime.stored_keys import StoredKeys

Connect = Callable[..., tuple[Peer, Peer]]
LayFibre = Callable[..., tuple[QuantumLink, QuantumLink]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]

PULSES = 20_000


def fresh_secret() -> SharedSecret:
    """One party's secret for one run; the other party has one of its own."""
    return SharedSecret(b"s" * 32, "run-1")


Stores = tuple[StoredKeys, StoredKeys]


def fresh_stores() -> Stores:
    """What Alice has in store with Bob, and he with her: nothing yet."""
    kek = b"k" * 32
    return StoredKeys(KeyStore(None, kek), "bob", True), StoredKeys(KeyStore(None, kek), "alice", True)


@pytest.fixture
def send(connect: Connect, lay_fibre: LayFibre, both: Both, make_coin: MakeCoin, clock: Clock) -> Any:
    async def sent(
        source: Path, destination: Path, stores: Stores | None = None, **imperfections: float
    ) -> tuple[Any, Any]:
        bob, alice = connect()
        to_bob, to_alice = lay_fibre(1, **imperfections)
        with_bob, with_alice = stores or fresh_stores()
        return await both(
            secure_file.alice(
                bob, to_bob, fresh_secret(), with_bob, make_coin(1), clock, str(source), PULSES
            ),
            secure_file.bob(
                alice, to_alice, fresh_secret(), with_alice, make_coin(2), clock, str(destination), PULSES
            ),
        )

    return sent


async def test_a_file_arrives_under_a_key_made_of_photons(send: Any, tmp_path: Path) -> None:
    (tmp_path / "letter").write_bytes(b"dear bob\n" * 1000)
    alice, bob = await send(tmp_path / "letter", tmp_path / "copy", misalignment=0.01)
    assert (tmp_path / "copy").read_bytes() == b"dear bob\n" * 1000
    assert alice.transfer == bob.transfer
    assert alice.qkd == bob.qkd
    assert alice.qkd.secret_bits >= 256
    assert alice.transfer.size_bytes == 9000


async def test_with_eve_on_the_fibre_no_file_is_sent(send: Any, tmp_path: Path) -> None:
    (tmp_path / "letter").write_bytes(b"dear bob")
    alice, bob = await send(tmp_path / "letter", tmp_path / "copy", eve=1.0)
    assert alice.transfer == bob.transfer
    assert alice.qkd == bob.qkd
    assert alice.transfer is None
    assert alice.qkd.aborted
    assert not (tmp_path / "copy").exists()


async def test_a_file_goes_under_a_key_in_store_without_another_photon(send: Any, tmp_path: Path) -> None:
    (tmp_path / "letter").write_bytes(b"dear bob")
    stores = fresh_stores()
    for keys in stores:
        await keys.put("block", Key(np.ones(512, dtype=np.uint8)))
    alice, bob = await send(tmp_path / "letter", tmp_path / "copy", stores, transmission=0.0)
    assert alice == bob
    assert alice.qkd is None
    assert (tmp_path / "copy").read_bytes() == b"dear bob"
    assert [await keys.stored_bits() for keys in stores] == [256, 256]


async def test_no_key_serves_two_files(send: Any, tmp_path: Path) -> None:
    (tmp_path / "letter").write_bytes(b"dear bob")
    stores = fresh_stores()
    first = [await send(tmp_path / "letter", tmp_path / "copy", stores, misalignment=0.01) for _ in range(2)]
    assert first[0][0].qkd is not None  # made, and more than one file needs
    assert first[1][0].qkd is None
    left = [await keys.stored_bits() for keys in stores]
    assert left[0] == left[1] == first[0][0].qkd.secret_bits // 256 * 256 - 2 * 256


async def test_the_program_qkd_stores_the_key_and_reports_without_it(
    connect: Connect, lay_fibre: LayFibre, both: Both, make_coin: MakeCoin, clock: Clock
) -> None:
    bob, alice = connect()
    to_bob, to_alice = lay_fibre(2)
    with_bob, with_alice = fresh_stores()
    mine, his = await both(
        key_distribution.alice(bob, to_bob, fresh_secret(), with_bob, make_coin(1), clock, PULSES),
        key_distribution.bob(alice, to_alice, fresh_secret(), with_alice, make_coin(2), clock, PULSES),
    )
    assert mine == his
    assert mine.qber == 0.0
    assert mine.secret_bits > 1000
    assert await with_bob.stored_bits() == mine.secret_bits // 256 * 256
    key, ticket = await with_alice.take(256)
    assert await with_bob.redeem(ticket, 256) == key
