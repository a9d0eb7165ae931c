"""Parameter estimation: how many errors can be left in the key, given those found in a random sample.

::

    Alice                                                    Bob
      |--- 1 Sample: the places chosen, and Alice's bits there ->|  only after sifting
      |<-- 2 SampleAnswer: Bob's bits there ---------------------|
      both count the errors and drop the sample from the key

The bound is exact. Of N = n + k sifted bits with K errors in all, a random sample of k holds c of them with
the hypergeometric probability C(K, c) C(N-K, k-c) / C(N, k). The largest K under which c or fewer errors
would still turn up with more than the failure probability bounds the errors of the rest by K - c (C. J.
Clopper and E. S. Pearson, Biometrika 26 (1934) 404, for sampling without replacement). It holds for every
population, and is much tighter at low error rates than the bound of R. J. Serfling, Ann. Statist. 2 (1974)
39, which ignores the variance.

The sample speaks for phase errors, too: both bases are equally likely, so the phase error of a key bit is the
bit error that it would have shown in the other basis, and pooled over both bases the two are distributed
alike (P. W. Shor and J. Preskill, Phys. Rev. Lett. 85 (2000) 441).

Where one basis is for the key and the other for checks (H.-K. Lo, H. F. Chau and M. Ardehali, J. Cryptology 18 (2005)
133), all bits of the check basis are the sample: which of the pairs, or photons, that both ends measured in one basis
are in it is as random as the bases were, and their bit errors are the phase errors of the others. ``CheckedBasis``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, lgamma, log2

import numpy as np

from nodes.errors import KeyRefused, ProtocolViolation, TooManyErrors
from nodes.ports import Bits, Coin, Peer
from nodes.qkd import amplification
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.block import Worth
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.security import Security

QBER_LIMIT = 0.11
"""One-way distillation of BB84 yields no key where 1 - 2 h(Q) < 0: Q > 0.11003 (Shor and Preskill)."""

FEWEST_SIFTED_BITS = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """The places that Alice's coin chose, one packed bit for each sifted bit, and her bits there, packed.

    Sent only after sifting, or Eve could spare the sampled photons.
    """

    places: bytes
    bits: bytes


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """Bob's bits at the sampled places, packed in order. Sent only after ``Sample``."""

    bits: bytes


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the sample says. ``key`` is the sifted key without it.

    ``qber`` is the error rate of the sample; that of ``key`` exceeds ``qber_upper`` at most with the failure
    probability asked for.
    """

    key: Bits = field(repr=False)
    sampled: int
    qber: float
    qber_upper: float


async def sample_as_alice(sifted: Bits, fraction: float, failure: float, bob: Peer, coin: Coin) -> Estimate:
    """Choose a sample, compare it with Bob's; return the estimate. Raises ``KeyRefused`` for too few bits."""
    count = sample_size(sifted.size, fraction)
    places = np.zeros(sifted.size, dtype=np.uint8)
    places[coin.choose(sifted.size, count)] = 1
    mine, key = divided(sifted, places)
    await bob.send(Sample(packed(places), packed(mine)))
    answer = await bob.receive(SampleAnswer)
    return estimated(key, mine, unpacked(answer.bits, count), failure)


async def sample_as_bob(sifted: Bits, fraction: float, failure: float, alice: Peer) -> Estimate:
    """Reveal what Alice asks for; return the estimate. Raises ``KeyRefused`` for too few bits."""
    count = sample_size(sifted.size, fraction)
    sample = await alice.receive(Sample)
    places = unpacked(sample.places, sifted.size)
    if int(places.sum()) != count:
        raise ProtocolViolation(f"{alice.name} sampled {int(places.sum())} bits where {count} were agreed")
    mine, key = divided(sifted, places)
    await alice.send(SampleAnswer(packed(mine)))
    return estimated(key, unpacked(sample.bits, count), mine, failure)


def sample_size(sifted: int, fraction: float) -> int:
    """Return how many of ``sifted`` bits are sampled. Raises ``KeyRefused`` when they or the rest are too few."""
    if sifted < FEWEST_SIFTED_BITS:
        raise KeyRefused(
            f"only {sifted} sifted bits came through the quantum channel and fewer than {FEWEST_SIFTED_BITS} "
            "say nothing about an eavesdropper; send more pulses or look for the loss"
        )
    count = max(1, round(fraction * sifted))
    if count >= sifted:
        raise KeyRefused(
            f"a sample of {fraction} of {sifted} sifted bits leaves none for the key; reveal a smaller fraction"
        )
    return count


def divided(sifted: Bits, places: Bits) -> tuple[Bits, Bits]:
    """Return the bits at the sampled places and the others."""
    chosen = places.astype(bool)
    return sifted[chosen], sifted[~chosen]


def estimated(key: Bits, alice: Bits, bob: Bits, failure: float) -> Estimate:
    """Compare both samples."""
    errors = int(np.count_nonzero(alice != bob))
    most = error_bound(errors, alice.size, key.size, failure)
    return Estimate(
        key=key, sampled=alice.size, qber=errors / alice.size, qber_upper=min(most / key.size, 0.5)
    )


@dataclass(frozen=True, slots=True)
class CheckedBasis:
    """What a check basis says of ``key_bits`` of the other one, of which ``samples`` more were compared and given up.

    ``check_errors`` of the ``checks`` bits of the check basis differed, ``sample_errors`` of the samples. The samples
    tell the error correction what to expect; secrecy does not rest on them. What the bases choose at random is which
    bits are of the key's basis, samples included, so their phase errors are bounded together, and all may be in the
    key. Of a qubit per end and detection that does not depend on the basis. The ``Evidence`` of a ``SiftedBlock``.
    """

    key_bits: int
    checks: int
    check_errors: int
    samples: int
    sample_errors: int
    security: Security

    @property
    def qber(self) -> float:
        """Return the error rate of the samples."""
        return self.sample_errors / max(1, self.samples)

    @property
    def checked(self) -> int:
        """Return how many bits were revealed, in both bases."""
        return self.checks + self.samples

    def refuse(self) -> None:
        """Raise ``KeyRefused`` where 1 - h(e_key) - h(e_check) <= 0 for the rates seen, or too few bits were."""
        if min(self.key_bits, self.checks) < FEWEST_SIFTED_BITS:
            raise KeyRefused(
                f"of {self.checks} bits in the check basis and {self.key_bits} in the key's nothing can be said; "
                f"{FEWEST_SIFTED_BITS} of each are the least: measure more pairs"
            )
        refuse_rates(self.qber, self.check_errors / self.checks)

    def worth(self, leaked: int, key_errors: Sequence[int]) -> Worth:
        """Bound the phase errors by those of the check basis, exactly; return what is left of the key."""
        compared = self.key_bits + self.samples
        most = error_bound(self.check_errors, self.checks, compared, bound_failure(self.security))
        return worth_of(self.key_bits, most, leaked, self.security)


def bound_failure(security: Security) -> float:
    """Return how probable it may be that a bound on phase errors is wrong: (eps/4)^2.

    Half of the secrecy eps is for that, and a wrong estimate of probability P costs 2 sqrt(P) of it (M. Tomamichel
    and A. Leverrier, Quantum 1 (2017) 14); the other half is the distance of the hashed key from a uniform one.
    """
    return (security.secrecy / 4) ** 2


def worth_of(size: int, phase_errors: float, leaked: int, security: Security) -> Worth:
    """Return what ``size`` bits are worth with so many ``phase_errors`` at most.

    ``leaked`` is all that was said of them but for the verification tag, whose log2(2/eps_cor) bits are charged here.
    """
    rate = min(phase_errors / size, 0.5) if size else 0.5
    told = leaked + ceil(log2(2 / security.correctness))
    return Worth(amplification.secret_length(size, rate, told, security.secrecy / 2), rate)


def refuse_rates(qber: float, phase_error: float) -> None:
    """Raise ``TooManyErrors`` where perfect error correction leaves nothing: 1 - h(Q) - h(e) <= 0."""
    if binary_entropy(min(qber, 0.5)) + binary_entropy(min(phase_error, 0.5)) >= 1:
        raise TooManyErrors(
            f"{qber:.1%} of the sampled key bits and {phase_error:.1%} of the check bits differ, and no key is secret "
            "from there on: someone measures the photons, or the link is misaligned"
        )


def refuse_hopeless(estimate: Estimate) -> None:
    """Raise ``TooManyErrors`` when the sample's QBER is ``QBER_LIMIT`` or more."""
    if estimate.qber >= QBER_LIMIT:
        raise TooManyErrors(
            f"{estimate.qber:.1%} of the sampled bits differ and no key is secret from {QBER_LIMIT:.0%} on: "
            "someone measures the photons, or the link is misaligned"
        )


def error_bound(errors: int, sampled: int, rest: int, failure: float) -> int:
    """Return the most errors that ``rest`` unsampled bits have, given ``errors`` among ``sampled`` ones.

    More than that are there with at most the probability ``failure`` < 1/2: the result is the largest e with
    P(at most ``errors`` in the sample | e + ``errors`` in all) > ``failure``. The search starts where the
    sample holds its expected share, the median of the distribution.
    """
    fewest, too_many = min(errors * rest // sampled, rest), rest + 1
    while too_many - fewest > 1:
        middle = (fewest + too_many) // 2
        if probability_of_at_most(errors, sampled, rest, errors + middle) > failure:
            fewest = middle
        else:
            too_many = middle
    return fewest


def probability_of_at_most(errors: int, sampled: int, rest: int, total: int) -> float:
    """Return P(c <= ``errors``) in a sample of ``sampled`` from all bits, ``total`` of which are wrong.

    Sums the terms from c = ``errors`` downwards; each is the one before times
    C(K, c-1) C(N-K, k-c+1) / [C(K, c) C(N-K, k-c)] = c (N-K-k+c) / [(K-c+1) (k-c+1)].
    """
    correct = sampled + rest - total
    least = max(0, sampled - correct)
    if errors >= min(total, sampled):
        return 1.0
    if errors < least:
        return 0.0
    largest = (
        _log_choose(total, errors)
        + _log_choose(correct, sampled - errors)
        - _log_choose(sampled + rest, sampled)
    )
    c = np.arange(errors, least, -1, dtype=np.float64)
    ratios = c * (correct - sampled + c) / ((total - c + 1) * (sampled - c + 1))
    logarithms = largest + np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    return min(1.0, float(np.exp(logarithms).sum()))


def _log_choose(population: int, count: int) -> float:
    return lgamma(population + 1) - lgamma(count + 1) - lgamma(population - count + 1)
