"""E91 as in Ekert 1991: what violates the inequality gives a key, and what does not is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import pytest

from nodes.errors import KeyRefused, ProgramInvalid, ProtocolViolation
from nodes.ports import PairOutcomes, Peer
from nodes.qkd import e91
from nodes.qkd.bell_evidence import BellEvidence
from nodes.qkd.bits import packed
from nodes.qkd.block import SiftedBlock
from nodes.qkd.e91 import ALICE, BOB, MOST_PAIRS, Directions, pairs_for
from nodes.qkd.security import Security
from tests.nodes.qkd.entangled_pairs import along, outcomes

Connect = Callable[..., tuple[Peer, Peer]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
Sift = Callable[..., Awaitable[tuple[SiftedBlock, SiftedBlock]]]
SECURITY = Security()
SIGMAS = 4.9  # false alarm 1e-6


@pytest.fixture
def sift(connect: Connect, both: Both) -> Sift:
    """Return what lets two ends sift what they have measured."""

    async def sifted(found: tuple[PairOutcomes, PairOutcomes]) -> tuple[SiftedBlock, SiftedBlock]:
        bob, alice = connect()
        return await both(e91.alice(found[0], bob, SECURITY), e91.bob(found[1], alice, SECURITY))

    return sifted


def measured(count: int, seed: int, xx: float = 1.0, zz: float = 1.0) -> tuple[PairOutcomes, PairOutcomes]:
    return along(count, seed, (ALICE, BOB), xx, zz)


def evidence_of(block: SiftedBlock) -> BellEvidence:
    assert isinstance(block.evidence, BellEvidence)
    return block.evidence


async def test_perfect_pairs_give_equal_keys_and_two_root_two(sift: Sift) -> None:
    hers, his = await sift(measured(90_000, 1))
    np.testing.assert_array_equal(hers.key, his.key)
    assert abs(hers.sifted - 20_000) <= SIGMAS * sqrt(20_000 * 7 / 9)
    s = evidence_of(hers).s
    assert s is not None
    assert hers.chsh == s.value
    assert abs(s.value - 2 * sqrt(2)) <= SIGMAS * s.stderr
    assert s.stderr == pytest.approx(sqrt(4 * 0.5 / 10_000), rel=0.05)
    hers.evidence.refuse()


@pytest.mark.parametrize("fraction", [0.2, 0.5, 1.0])
async def test_who_intercepts_a_fraction_is_seen_in_s_and_in_the_key(sift: Sift, fraction: float) -> None:
    """<XX> = <ZZ> = 1 - f/2 give S = 2 sqrt 2 (1 - f/2), Q = f/4, and in every setting a phase error rate of f/4."""
    hers, his = await sift(measured(200_000, 2, 1 - fraction / 2, 1 - fraction / 2))
    evidence = evidence_of(hers)
    s = evidence.s
    assert s is not None
    assert abs(s.value - 2 * sqrt(2) * (1 - fraction / 2)) <= SIGMAS * s.stderr
    deviation = sqrt(fraction / 4 * (1 - fraction / 4) / hers.key.size)
    assert abs((hers.key != his.key).mean() - fraction / 4) <= SIGMAS * deviation
    spread = sqrt(200_000 * 5 / 36)
    assert abs(evidence.phase_errors - fraction / 4 * hers.sifted) <= SIGMAS * spread


@pytest.mark.parametrize(("xx", "zz"), [(0.5, 0.5), (sqrt(0.5), sqrt(0.5)), (0.0, 1.0), (1.0, 0.0)])
async def test_without_a_violation_there_is_no_key(sift: Sift, xx: float, zz: float) -> None:
    """S = sqrt 2 (<XX> + <ZZ>), so it is sqrt 2 after an interception in one basis as well."""
    hers, _ = await sift(measured(100_000, 3, xx, zz))
    with pytest.raises(KeyRefused, match="no entanglement is shown"):
        hers.evidence.refuse()


async def test_a_violation_that_chance_explains_is_none(sift: Sift) -> None:
    """S = 2.2 with a standard error of some 0.2 is within 4.75 of them from 2."""
    few, _ = await sift(measured(900, 4, 0.778, 0.778))
    many, _ = await sift(measured(100_000, 4, 0.778, 0.778))
    for block, reason in ((few, "does not exceed 2"), (many, "no key is secret")):
        with pytest.raises(KeyRefused, match=reason):
            block.evidence.refuse()


async def test_more_pairs_than_a_message_takes_go_in_several(
    sift: Sift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(e91, "MOST_PAIRS", 1000)
    found = measured(3500, 5, 0.9, 0.9)
    hers, his = await sift(found)
    monkeypatch.setattr(e91, "MOST_PAIRS", MOST_PAIRS)
    whole, _ = await sift(found)
    assert hers.sifted == whole.sifted
    assert hers.chsh == whole.chsh == his.chsh
    np.testing.assert_array_equal(evidence_of(hers).counts, evidence_of(his).counts)


async def test_so_many_pairs_fill_a_block_on_average(sift: Sift) -> None:
    pairs = pairs_for(10_000)
    hers, his = await sift(measured(pairs, 6))
    assert abs(hers.key.size - 10_000) <= SIGMAS * sqrt(10_000)
    assert his.pulses == pairs


async def test_ends_that_have_measured_another_number_of_pairs_are_told(connect: Connect, both: Both) -> None:
    bob, alice = connect()
    found, other = measured(100, 7)
    short = outcomes(other.bases[:96], other.bits[:96])
    announced = Directions(100, packed(found.bases % 2), packed(found.bases // 2))
    _, refusal = await both(bob.send(announced), e91.bob(short, alice, SECURITY))
    assert isinstance(refusal, ProtocolViolation)
    assert "100 pairs where 96" in str(refusal)


async def test_alice_tells_no_direction_before_bob_has_measured_all_his_halves(
    connect: Connect, both: Both
) -> None:
    told: list[str] = []

    def listen(sender: str, number: int, message: object) -> list[object]:
        told.append(f"{sender}: {type(message).__name__}")
        return [message]

    bob, alice = connect(listen)
    found = measured(500, 7)
    await both(e91.alice(found[0], bob, SECURITY), e91.bob(found[1], alice, SECURITY))
    assert told == ["bob: Measured", "alice: Directions", "bob: Answer", "alice: Revealed"]


async def test_a_fourth_direction_is_none(connect: Connect, both: Both, sift: Sift) -> None:
    bob, alice = connect()
    ones = packed(np.ones(100, dtype=np.uint8))
    _, other = measured(100, 8)
    _, refusal = await both(bob.send(Directions(100, ones, ones)), e91.bob(other, alice, SECURITY))
    assert isinstance(refusal, ProtocolViolation)
    hers, his = measured(100, 9)
    refusals = await sift((replace(hers, bases=hers.bases + 1), replace(his, bases=his.bases + 1)))
    assert all(isinstance(refusal, ProgramInvalid) for refusal in refusals)


async def test_pairs_that_never_met_a_setting_say_nothing(sift: Sift) -> None:
    hers, _ = await sift(measured(4, 10))
    assert hers.chsh is None
    with pytest.raises(KeyRefused, match="too few"):
        hers.evidence.refuse()
