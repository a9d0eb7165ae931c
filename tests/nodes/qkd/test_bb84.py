"""BB84 as in Bennett and Brassard 1984: who listens in is heard, and who does not leaves no trace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest

from nodes.errors import ProtocolViolation
from nodes.ports import Bits, Coin, Peer, QuantumLink
from nodes.qkd import bb84
from nodes.qkd.bb84 import Detections, Matches, Train, trains
from nodes.qkd.bits import packed

Connect = Callable[..., tuple[Peer, Peer]]
LayFibre = Callable[..., tuple[QuantumLink, QuantumLink]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]

SIGMAS = 4.9  # false alarm 1e-6


@pytest.fixture
def sift(connect: Connect, lay_fibre: LayFibre, both: Both, make_coin: MakeCoin) -> Callable[..., Any]:
    async def sifted_keys(pulses: int, seed: int, **imperfections: float) -> tuple[Bits, Bits]:
        bob, alice = connect()
        to_bob, to_alice = lay_fibre(seed, **imperfections)
        mine, his = await both(
            bb84.transmit(pulses, to_bob, bob, make_coin(seed, 1)),
            bb84.receive(pulses, to_alice, alice, make_coin(seed, 2)),
        )
        return mine, his

    return sifted_keys


async def test_without_noise_the_sifted_keys_are_equal(sift: Callable[..., Any]) -> None:
    alice, bob = await sift(100_000, seed=1)
    assert np.array_equal(alice, bob)


async def test_half_of_the_detected_photons_are_sifted(sift: Callable[..., Any]) -> None:
    alice, bob = await sift(100_000, seed=2, transmission=0.4)
    assert alice.size == bob.size
    deviation = sqrt(100_000 * 0.2 * 0.8)
    assert abs(alice.size - 20_000) < SIGMAS * deviation


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 1.0])
async def test_intercept_resend_makes_a_quarter_of_the_tapped_bits_wrong(
    sift: Callable[..., Any], fraction: float
) -> None:
    alice, bob = await sift(200_000, seed=3, eve=fraction)
    expected = fraction / 4
    deviation = sqrt(expected * (1 - expected) / alice.size)
    assert abs(np.mean(alice != bob) - expected) <= SIGMAS * deviation


async def test_misalignment_shows_as_the_error_rate(sift: Callable[..., Any]) -> None:
    alice, bob = await sift(200_000, seed=4, misalignment=0.03)
    deviation = sqrt(0.03 * 0.97 / alice.size)
    assert abs(np.mean(alice != bob) - 0.03) < SIGMAS * deviation


async def test_when_every_photon_is_lost_the_sifted_key_is_empty(sift: Callable[..., Any]) -> None:
    alice, bob = await sift(1000, seed=5, transmission=0.0)
    assert alice.size == bob.size == 0


async def test_a_long_run_goes_in_several_trains(
    sift: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bb84, "TRAIN_PULSES", 300)
    assert trains(1000) == [300, 300, 300, 100]
    alice, bob = await sift(1000, seed=6)
    assert np.array_equal(alice, bob)


async def test_alice_tells_nothing_of_her_bases_before_bob_has_measured(
    connect: Connect, lay_fibre: LayFibre, both: Both, make_coin: MakeCoin
) -> None:
    told: list[str] = []

    def listen(sender: str, number: int, message: object) -> list[object]:
        told.append(f"{sender}: {type(message).__name__}")
        return [message]

    bob, alice = connect(listen)
    to_bob, to_alice = lay_fibre(7)
    await both(
        bb84.transmit(100, to_bob, bob, make_coin(1)), bb84.receive(100, to_alice, alice, make_coin(2))
    )
    assert told == ["alice: Train", "bob: Detections", "alice: Matches"]


async def test_bob_refuses_a_train_of_another_length(
    connect: Connect, lay_fibre: LayFibre, make_coin: MakeCoin
) -> None:
    bob, alice = connect()
    _, to_alice = lay_fibre(8)
    await bob.send(Train(99))
    with pytest.raises(ProtocolViolation, match="99 photons where 100"):
        await bb84.receive(100, to_alice, alice, make_coin(1))


async def test_alice_refuses_bases_that_do_not_fit_the_clicks(
    connect: Connect, lay_fibre: LayFibre, make_coin: MakeCoin
) -> None:
    bob, alice = connect()
    to_bob, _ = lay_fibre(9)
    await alice.send(Detections(packed(np.ones(16, dtype=np.uint8)), bases=b"\x00"))
    with pytest.raises(ProtocolViolation, match="16 bits"):
        await bb84.transmit(16, to_bob, bob, make_coin(1))


async def test_bob_refuses_matches_that_do_not_fit_his_detections(
    connect: Connect, lay_fibre: LayFibre, make_coin: MakeCoin
) -> None:
    bob, alice = connect()
    to_bob, to_alice = lay_fibre(10)
    await bob.send(Train(16))
    await to_bob.send_pulses(np.zeros(16, dtype=np.uint8), np.zeros(16, dtype=np.uint8))
    await bob.send(Matches(b""))
    with pytest.raises(ProtocolViolation, match="16 bits"):
        await bb84.receive(16, to_alice, alice, make_coin(1))
