"""The sample bounds the errors of the rest: exactly, for every population."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from itertools import combinations
from math import comb, log, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nodes.errors import KeyRefused, ProtocolViolation
from nodes.ports import Coin, Peer
from nodes.qkd.amplification import secret_length
from nodes.qkd.bits import packed
from nodes.qkd.estimation import (
    QBER_LIMIT,
    CheckedBasis,
    Sample,
    bound_failure,
    error_bound,
    estimated,
    probability_of_at_most,
    refuse_hopeless,
    refuse_rates,
    sample_as_alice,
    sample_as_bob,
    sample_size,
    worth_of,
)
from nodes.qkd.security import Security

Connect = Callable[..., tuple[Peer, Peer]]
Both = Callable[..., Awaitable[tuple[Any, Any]]]
MakeCoin = Callable[..., Coin]


def counted(errors: int, sampled: int, rest: int, total: int) -> float:
    """The hypergeometric distribution function from its definition."""
    population = sampled + rest
    favourable = sum(
        comb(total, c) * comb(population - total, sampled - c) for c in range(min(errors, total) + 1)
    )
    return favourable / comb(population, sampled)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_the_distribution_is_the_hypergeometric_one(sampled: int, rest: int, data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sampled + rest))
    errors = data.draw(st.integers(0, sampled))
    assert probability_of_at_most(errors, sampled, rest, total) == pytest.approx(
        counted(errors, sampled, rest, total), rel=1e-9, abs=1e-300
    )


@given(st.integers(5, 40), st.integers(5, 40), st.data(), st.sampled_from([0.3, 1e-2, 1e-6]))
def test_no_population_defies_the_bound_more_often_than_stated(
    sampled: int, rest: int, data: st.DataObject, failure: float
) -> None:
    total = data.draw(st.integers(0, sampled + rest))
    defying = sum(
        comb(total, c) * comb(sampled + rest - total, sampled - c)
        for c in range(max(0, total - rest), min(total, sampled) + 1)
        if error_bound(c, sampled, rest, failure) < total - c
    )
    assert defying / comb(sampled + rest, sampled) <= failure * (1 + 1e-9)


@given(st.integers(0, 200), st.integers(200, 2000), st.integers(200, 4000))
def test_the_bound_is_never_below_the_rate_of_the_sample(errors: int, sampled: int, rest: int) -> None:
    assert error_bound(errors, sampled, rest, 1e-10) >= min(errors * rest // sampled, rest)


@given(st.integers(0, 100))
def test_more_sampled_errors_never_lower_the_bound(errors: int) -> None:
    assert error_bound(errors + 1, 1000, 4000, 1e-10) >= error_bound(errors, 1000, 4000, 1e-10)


def test_a_smaller_failure_probability_raises_the_bound() -> None:
    bounds = [error_bound(30, 1000, 4000, failure) for failure in (1e-2, 1e-5, 1e-10, 1e-20)]
    assert bounds == sorted(set(bounds))


def test_the_bound_is_tighter_than_serflings() -> None:
    """mu = sqrt((n+k)(k+1) ln(1/eps) / (2 n k^2)): Serfling 1974, from Tomamichel 2012."""
    n, k, failure = 40_000, 10_000, 1e-20
    serfling = sqrt((n + k) * (k + 1) * log(1 / failure) / (n * k**2) / 2)
    for qber in (0.0, 0.01, 0.05, 0.10):
        assert error_bound(round(qber * k), k, n, failure) / n < qber + serfling


def test_errors_far_above_the_share_of_the_sample_do_not_confuse_the_search() -> None:
    assert error_bound(1000, 1000, 40_000, 1e-10) == 40_000
    assert 0.45 < error_bound(5000, 10_000, 40_000, 1e-20) / 40_000 < 0.56


async def test_both_parties_see_the_same_estimate_and_keep_what_was_not_revealed(
    connect: Connect, both: Both, make_coin: MakeCoin
) -> None:
    rng = np.random.default_rng(1)
    alice_key = rng.integers(0, 2, 5000, dtype=np.uint8)
    bob_key = alice_key ^ (rng.random(5000) < 0.04).astype(np.uint8)
    bob, alice = connect()
    mine, his = await both(
        sample_as_alice(alice_key, 0.2, 1e-10, bob, make_coin(1)),
        sample_as_bob(bob_key, 0.2, 1e-10, alice),
    )
    assert (mine.sampled, mine.qber, mine.qber_upper) == (his.sampled, his.qber, his.qber_upper)
    assert mine.sampled == 1000
    assert mine.key.size == his.key.size == 4000
    wrong_in_sample = round(mine.qber * mine.sampled)
    assert np.count_nonzero(mine.key != his.key) + wrong_in_sample == np.count_nonzero(alice_key != bob_key)
    assert np.mean(mine.key != his.key) <= mine.qber_upper


@pytest.mark.parametrize("errors", [109, 110, 250])
def test_from_eleven_percent_on_the_key_is_refused(errors: int) -> None:
    alice, bob = np.zeros(1000, dtype=np.uint8), np.zeros(1000, dtype=np.uint8)
    bob[:errors] = 1
    estimate = estimated(np.zeros(4000, dtype=np.uint8), alice, bob, 1e-10)
    if estimate.qber < QBER_LIMIT:
        refuse_hopeless(estimate)
    else:
        with pytest.raises(KeyRefused, match="no key is secret"):
            refuse_hopeless(estimate)


def test_too_few_bits_are_refused() -> None:
    with pytest.raises(KeyRefused, match="only 12 sifted bits"):
        sample_size(12, 0.2)


async def test_a_sample_that_leaves_nothing_for_the_key_is_refused_by_both(
    connect: Connect, both: Both, make_coin: MakeCoin
) -> None:
    key = np.zeros(200, dtype=np.uint8)
    bob, alice = connect()
    refusals = await both(
        sample_as_alice(key, 0.999, 1e-10, bob, make_coin(1)), sample_as_bob(key, 0.999, 1e-10, alice)
    )
    for refusal in refusals:
        assert isinstance(refusal, KeyRefused)
        assert "leaves none for the key" in str(refusal)


def test_an_estimate_does_not_show_the_key() -> None:
    bits = np.ones(500, dtype=np.uint8)
    shown = repr(estimated(bits, bits, bits, 1e-10))
    assert shown.startswith("Estimate(sampled=500, qber=0.0, qber_upper=")
    assert "array" not in shown


async def test_bob_reveals_no_more_bits_than_agreed(connect: Connect) -> None:
    bob, alice = connect()
    greedy = np.ones(200, dtype=np.uint8)
    await bob.send(Sample(packed(greedy), packed(greedy)))
    with pytest.raises(ProtocolViolation, match="sampled 200 bits where 40"):
        await sample_as_bob(np.zeros(200, dtype=np.uint8), 0.2, 1e-10, alice)


@given(st.integers(5, 30), st.integers(5, 30), st.data())
def test_of_phase_errors_beyond_its_bound_a_check_basis_knows_nothing_too_often(
    checks: int, key_bits: int, data: st.DataObject
) -> None:
    """Whichever pairs show an error in X: the bases choose at random which of them are the check."""
    total = data.draw(st.integers(0, checks + key_bits))
    security = Security(secrecy=0.4)
    defying = sum(
        comb(total, c) * comb(checks + key_bits - total, checks - c)
        for c in range(max(0, total - key_bits), min(total, checks) + 1)
        if CheckedBasis(key_bits, checks, c, 0, 0, security).worth(0, [0]).phase_error
        < min(0.5, (total - c) / key_bits)
    )
    assert defying / comb(checks + key_bits, checks) <= bound_failure(security) + 1e-12


@given(st.integers(1, 5), st.integers(2, 6), st.integers(2, 4), st.sets(st.integers(0, 10)))
@example(8, 8, 3, {4, 10, 15})
def test_the_bound_of_a_check_basis_holds_with_samples_that_eve_can_guess(
    checks: int, compared: int, every: int, wrong: set[int]
) -> None:
    """Of each order of bases: the first bit of the key's basis is a sample, so what comes early is rarely in the key.

    Were the samples left out of the bound, that of the example would fail 1.6 times as often as it may.
    """
    pairs, security, defying = checks + compared, Security(secrecy=0.8), 0
    size = int((np.arange(compared) % every != 0).sum())
    bounds = [
        CheckedBasis(size, checks, seen, compared - size, 0, security).worth(0, [0]).phase_error
        for seen in range(checks + 1)
    ]
    for chosen in map(set, combinations(range(pairs), checks)):
        others = [pair for pair in range(pairs) if pair not in chosen]
        errors = sum(pair in wrong for rank, pair in enumerate(others) if rank % every)
        defying += bounds[len(chosen & wrong)] < min(0.5, errors / size)
    assert defying / comb(pairs, checks) <= bound_failure(security) + 1e-12


@given(st.integers(1000, 10**6), st.floats(0.0, 0.3), st.integers(0, 1000), st.floats(-20, -1))
def test_a_worth_is_the_leftover_hash_of_half_the_secrecy_after_tag_and_leak(
    size: int, rate: float, leaked: int, exponent: float
) -> None:
    security = Security(10**exponent, 1e-15)
    worth = worth_of(size, rate * size, leaked, security)
    assert worth.length == secret_length(size, rate * size / size, leaked + 51, 10**exponent / 2)
    assert worth.phase_error == pytest.approx(rate, abs=1e-12)
    assert 2 * sqrt(bound_failure(security)) + 10**exponent / 2 == pytest.approx(10**exponent)


@pytest.mark.parametrize(
    ("qber", "phase_error", "refused"),
    [(0.109, 0.109, False), (0.111, 0.111, True), (0.0, 0.45, False), (0.0, 0.5, True), (0.3, 0.02, True)],
)
def test_rates_are_refused_where_perfect_correction_leaves_nothing(
    qber: float, phase_error: float, refused: bool
) -> None:
    with pytest.raises(KeyRefused) if refused else nullcontext():
        refuse_rates(qber, phase_error)
