"""The programs ``bb84`` and ``send``: a key from photons, and a file under it only if there is a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodes.apps import key_distribution, secure_file
from nodes.ports import Clock, Coin, Peer, QuantumLink, SharedSecret

Connect = Callable[..., tuple[Peer, Peer]]
LayFibre = Callable[..., tuple[QuantumLink, QuantumLink]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]

PULSES = 20_000


def fresh_secret() -> SharedSecret:
    """One party's secret for one run; the other party has one of its own."""
    return SharedSecret(b"s" * 32, "run-1")


@pytest.fixture
def send(connect: Connect, lay_fibre: LayFibre, both: Both, make_coin: MakeCoin, clock: Clock) -> Any:
    async def sent(source: Path, destination: Path, **imperfections: float) -> tuple[Any, Any]:
        bob, alice = connect()
        to_bob, to_alice = lay_fibre(1, **imperfections)
        return await both(
            secure_file.alice(bob, to_bob, fresh_secret(), make_coin(1), clock, str(source), PULSES),
            secure_file.bob(alice, to_alice, fresh_secret(), make_coin(2), clock, str(destination), PULSES),
        )

    return sent


async def test_a_file_arrives_under_a_key_made_of_photons(send: Any, tmp_path: Path) -> None:
    (tmp_path / "letter").write_bytes(b"dear bob\n" * 1000)
    alice, bob = await send(tmp_path / "letter", tmp_path / "copy", misalignment=0.01)
    assert (tmp_path / "copy").read_bytes() == b"dear bob\n" * 1000
    assert alice.transfer == bob.transfer
    assert alice.qkd == replace(bob.qkd, efficiency=None)
    assert alice.qkd.secret_bits >= 256
    assert alice.transfer.size_bytes == 9000


async def test_with_eve_on_the_fibre_no_file_is_sent(send: Any, tmp_path: Path) -> None:
    (tmp_path / "letter").write_bytes(b"dear bob")
    alice, bob = await send(tmp_path / "letter", tmp_path / "copy", eve=1.0)
    assert alice.transfer == bob.transfer
    assert alice.qkd == replace(bob.qkd, efficiency=None)
    assert alice.transfer is None
    assert alice.qkd.aborted
    assert not (tmp_path / "copy").exists()


async def test_the_bb84_program_reports_without_the_key(
    connect: Connect, lay_fibre: LayFibre, both: Both, make_coin: MakeCoin, clock: Clock
) -> None:
    bob, alice = connect()
    to_bob, to_alice = lay_fibre(2)
    mine, his = await both(
        key_distribution.alice(bob, to_bob, fresh_secret(), make_coin(1), clock, PULSES),
        key_distribution.bob(alice, to_alice, fresh_secret(), make_coin(2), clock, PULSES),
    )
    assert mine == his
    assert mine.qber == 0.0
    assert mine.secret_bits > 1000
