"""BBM92 as in Bennett, Brassard and Mermin 1992: pairs in, a sifted key and what bounds Eve out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import pytest

from nodes.errors import KeyRefused, ProgramInvalid, ProtocolViolation
from nodes.ports import Basis, PairOutcomes, Peer
from nodes.qkd import bbm92
from nodes.qkd.bbm92 import MOST_PAIRS, SAMPLE_EVERY, Bases, Measured, pairs_for
from nodes.qkd.bits import packed
from nodes.qkd.block import SiftedBlock
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.estimation import CheckedBasis
from nodes.qkd.security import Security
from nodes.requests import SharedOutcomes
from tests.nodes.qkd.entangled_pairs import in_z_and_x, outcomes

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
        return await both(bbm92.alice(found[0], bob, SECURITY), bbm92.bob(found[1], alice, SECURITY))

    return sifted


def evidence_of(block: SiftedBlock) -> CheckedBasis:
    assert isinstance(block.evidence, CheckedBasis)
    return block.evidence


async def test_of_perfect_pairs_the_sifted_keys_are_equal_and_nothing_differs(sift: Sift) -> None:
    hers, his = await sift(in_z_and_x(40_000, 1))
    np.testing.assert_array_equal(hers.key, his.key)
    evidence = evidence_of(hers)
    assert (evidence.qber, evidence.check_errors) == (0.0, 0)
    assert hers.pulses == 40_000
    assert hers.sifted == hers.key.size + evidence.checked
    assert abs(hers.sifted - 20_000) <= SIGMAS * sqrt(10_000)


async def test_both_ends_know_the_same_of_their_block(sift: Sift) -> None:
    hers, his = await sift(in_z_and_x(30_000, 2, in_z=0.03, in_x=0.05))
    assert hers.evidence == his.evidence
    assert hers.key.size == his.key.size
    assert hers.evidence.worth(100, [0]) == his.evidence.worth(100, [0])


@pytest.mark.parametrize(("in_z", "in_x"), [(0.0, 0.1), (0.08, 0.0), (0.02, 0.03)])
async def test_the_samples_show_the_errors_of_the_key_and_the_checks_those_of_x(
    sift: Sift, in_z: float, in_x: float
) -> None:
    """An eavesdropper who measures in Z is seen in X only, and the other way round."""
    hers, his = await sift(in_z_and_x(200_000, 3, in_z=in_z, in_x=in_x))
    evidence = evidence_of(hers)
    seen = (
        (in_z, float((hers.key != his.key).mean()), hers.key.size),
        (in_z, evidence.qber, evidence.samples),
        (in_x, evidence.check_errors / evidence.checks, evidence.checks),
    )
    for expected, rate, count in seen:
        assert abs(rate - expected) <= SIGMAS * sqrt(expected * (1 - expected) / count)
    assert evidence.samples == -(-(hers.key.size + evidence.samples) // SAMPLE_EVERY)


@pytest.mark.parametrize("z_probability", [0.5, 0.8, 0.95])
async def test_so_many_pairs_fill_a_block_on_average(sift: Sift, z_probability: float) -> None:
    pairs = pairs_for(20_000, z_probability)
    hers, _ = await sift(in_z_and_x(pairs, 4, z_probability=z_probability))
    assert abs(hers.key.size - 20_000) <= SIGMAS * sqrt(20_000) + 2
    share = (1 - z_probability) ** 2
    assert abs(evidence_of(hers).checks - share * pairs) <= SIGMAS * sqrt(share * pairs)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_device_that_has_one_basis_is_refused(probability: float) -> None:
    with pytest.raises(ProgramInvalid, match="no key or no check"):
        pairs_for(1000, probability)


async def test_more_pairs_than_a_message_takes_go_in_several(
    sift: Sift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bbm92, "MOST_PAIRS", 1000)
    found = in_z_and_x(3500, 5, in_z=0.04, in_x=0.04)
    hers, his = await sift(found)
    monkeypatch.setattr(bbm92, "MOST_PAIRS", MOST_PAIRS)
    whole, _ = await sift(found)
    assert hers.sifted == whole.sifted
    assert evidence_of(hers).check_errors == evidence_of(whole).check_errors
    assert hers.evidence == his.evidence


async def test_ends_that_have_measured_another_number_of_pairs_are_told(connect: Connect, both: Both) -> None:
    bob, alice = connect()
    found, other = in_z_and_x(100, 6)
    short = outcomes(other.bases[:96], other.bits[:96])
    _, refusal = await both(bob.send(Bases(100, packed(found.bases))), bbm92.bob(short, alice, SECURITY))
    assert isinstance(refusal, ProtocolViolation)
    assert "100 pairs where 96" in str(refusal)
    bob, alice = connect()
    refusal, _ = await both(bbm92.alice(found, bob, SECURITY), alice.send(Measured(96)))
    assert isinstance(refusal, ProtocolViolation)
    assert "96 pairs where 100" in str(refusal)


async def test_alice_tells_no_basis_before_bob_has_measured_all_his_halves(
    connect: Connect, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heralds are not signed: Eve can send them, and keep Bob's halves until she hears the bases."""
    monkeypatch.setattr(bbm92, "MOST_PAIRS", 1000)
    told: list[str] = []

    def listen(sender: str, number: int, message: object) -> list[object]:
        told.append(f"{sender}: {type(message).__name__}")
        return [message]

    bob, alice = connect(listen)
    found = in_z_and_x(1500, 5)
    await both(bbm92.alice(found[0], bob, SECURITY), bbm92.bob(found[1], alice, SECURITY))
    part = ["alice: Bases", "bob: Matches", "alice: Revealed"]
    assert told == ["bob: Measured", *part, *part]


async def test_another_basis_than_z_and_x_is_refused(sift: Sift) -> None:
    hers, his = in_z_and_x(100, 7)
    refusals = await sift((replace(hers, bases=hers.bases + 1), replace(his, bases=his.bases + 1)))
    assert all(isinstance(refusal, ProgramInvalid) for refusal in refusals)


@pytest.mark.parametrize(("count", "rate"), [(100, 0.0), (40_000, 0.12), (40_000, 0.25)])
async def test_too_few_pairs_and_too_many_errors_are_refused(sift: Sift, count: int, rate: float) -> None:
    hers, _ = await sift(in_z_and_x(count, 8, in_z=rate, in_x=rate))
    with pytest.raises(KeyRefused, match=r"are the least|no key is secret"):
        hers.evidence.refuse()


async def test_a_long_key_approaches_what_shannon_and_shor_and_preskill_leave(sift: Sift) -> None:
    """l/n -> 1 - h(e_x) - (told); of 10^6 pairs in the two bases it is within six per cent of that."""
    hers, his = await sift(in_z_and_x(1_000_000, 9, in_z=0.02, in_x=0.03, z_probability=0.7))
    hers.evidence.refuse()
    size = hers.key.size
    worth = hers.evidence.worth(leaked := round(1.1 * size * binary_entropy(0.02)), [0])
    limit = 1 - binary_entropy(0.03) - leaked / size
    assert 0.94 * limit < worth.length / size < limit
    assert 0.03 < worth.phase_error < 0.04
    assert float((hers.key != his.key).mean()) < worth.phase_error


async def units(*bases: Basis, of: int = 1) -> AsyncIterator[SharedOutcomes]:
    for number, basis in enumerate(bases):
        bits = np.full(of, number % 2, dtype=np.uint8)
        yield SharedOutcomes(f"{number}", basis, bits, 0.0, float(number), ("alice", "bob"))


async def test_outcomes_of_the_network_are_collected_in_their_order() -> None:
    found = await bbm92.collect(units("Z", "X", "X", "Z"))  # type: ignore[arg-type]  # what is asked of pairs
    assert found.bases.tolist() == [0, 1, 1, 0]
    assert found.bits.tolist() == [0, 1, 0, 1]
    assert found.known_at.tolist() == [0, 1, 2, 3]


async def test_units_that_share_a_basis_are_no_random_sample() -> None:
    for wrong in (units("Z", of=2), units("Y")):
        with pytest.raises(ProgramInvalid, match="one pair at a time"):
            await bbm92.collect(wrong)  # type: ignore[arg-type]
