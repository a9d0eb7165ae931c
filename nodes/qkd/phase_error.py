"""Phase errors of the key that nobody sees, from bit errors of a random sample that both parties saw.

The single photons of both bases are one population: those of the check basis are a random sample of it. Of d sampled
ones v are wrong; how many errors can the other c have, in the same basis, had they been measured there? With E of
them wrong the sample has v errors or fewer with the hypergeometric probability P(E); the bound is the E with P(E) =
eps.

``sampled`` computes it: the largest term of P(E) from the gamma function, and the others, which fall off faster than
a geometric series. ``approximated`` is the closed form that Lim et al. 2014 print, from C.-H. F. Fung, X. Ma and H.
F. Chau, PRA 81 (2010) 012318. Its Taylor series makes it no bound: without errors it allows for none whatever the
sample, and at d = 10^5, c = 10^6 and 0.5 % it is 0.73 % where 0.77 % is due at eps^2 = (1e-10/21)^2 (Tupkary et al.,
arXiv:2502.10340, say so too). It is here to reproduce published curves.

Both take ``failure`` a, the smoothing of an entropy: the probability of more errors is a^2 or less.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, lgamma, log, log1p, log2, sqrt
from sys import float_info

from nodes.qkd.tallies import within

Sampling = Callable[[float, float, float, float], float]
"""(failure, errors of the sample, size of the sample, size of the rest) -> error rate of the rest, at most 1/2."""

STEPS = 50
"""Halvings: the error rate is found to 2^-50."""


def sampled(failure: float, errors: float, checked: float, rest: float) -> float:
    """Return the error rate E/c that the ``rest`` of c has at most, given ``errors`` among d ``checked``.

    P(E) <= T / (1 - r) with T = C(d, v) C(c, E) / C(c+d, v+E) and r = v (c-E) / [(E+1) (d-v+1)], the ratio of the
    next term to T; the ratios of further terms are smaller. Sizes need not be whole.
    """
    if checked <= 0 or rest <= 0 or errors >= checked / 2:
        return 0.5
    target = 2 * log(failure)
    fewest, too_many = errors / checked * rest, rest / 2
    if _log_tail(errors, checked, rest, too_many) > target:
        return 0.5
    for _ in range(STEPS):
        middle = (fewest + too_many) / 2
        if _log_tail(errors, checked, rest, middle) > target:
            fewest = middle
        else:
            too_many = middle
    return too_many / rest


def approximated(failure: float, errors: float, checked: float, rest: float) -> float:
    """Return b + gamma(a, b, c, d), b = v/d, as Lim et al. 2014 print it in (5): no bound, see above.

    gamma = sqrt((c+d)(1-b)b/(c d ln 2) log2[(c+d)/(c d (1-b) b) / a^2]).
    """
    if checked <= 0 or rest <= 0 or errors >= checked / 2:
        return 0.5
    rate = errors / checked
    spread = (checked + rest) / (checked * rest)
    variance = rate * (1 - rate)
    if variance == 0:
        return rate
    excess = spread * variance / log(2) * max(0.0, log2(spread / variance / failure**2))
    return within(0.0, rate + sqrt(excess), 0.5)


def _log_tail(errors: float, checked: float, rest: float, wrong: float) -> float:
    """Return a number no less than ln P(at most ``errors`` in the sample), ``wrong`` errors in the rest."""
    ratio = errors * (rest - wrong) / ((wrong + 1) * (checked - errors + 1))
    if ratio >= 1:
        return inf
    everything = checked + rest
    largest = (
        _log_choose(checked, errors) + _log_choose(rest, wrong) - _log_choose(everything, errors + wrong)
    )
    rounding = 16 * float_info.epsilon * lgamma(everything + 2)
    return largest - log1p(-ratio) + rounding


def _log_choose(population: float, count: float) -> float:
    return lgamma(population + 1) - lgamma(count + 1) - lgamma(population - count + 1)
