"""BB84 with two decoys: how long a secret key is, from what was counted.

C. C. W. Lim, M. Curty, N. Walenta, F. Xu and H. Zbinden, *Concise security bounds for practical decoy-state quantum
key distribution*, PRA 89 (2014) 022307; equation numbers are theirs, with the key basis called Z here and X there.
Secure against every attack on all pulses together.

Where this file departs from the paper: the phase error is bounded by ``phase_error.sampled``, because (5) is an
approximation and no bound; expectations of counts are cut off at 0 and at the number of detections. Either is
possible only because it is proven: the first lengthens no key, the second shortens none.

What it takes for granted: the number of key bits is fixed before the block begins, which ends when there are enough;
a click is as likely in either basis; phases are random, intensities exact and of no influence on each other; two
clicks at once are given a random bit. That the length follows from the tallies, where the paper accepts or rejects
one that was fixed beforehand, is a gap that J. Wiesemann et al., arXiv:2405.16578, name, and that D. Tupkary et al.,
arXiv:2502.10340, close for lengths that vary.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log2

from nodes.qkd.entropy import binary_entropy
from nodes.qkd.phase_error import Sampling, sampled
from nodes.qkd.security import Security
from nodes.qkd.tallies import DecoyBound, DecoySource, Tallies, expectations, within

SHARES = 21
"""The secrecy is the sum of 21 failure probabilities, all alike: 10 detections, 2 errors, 9 of entropies (B4)."""


def secret_length(
    tallies: Tallies,
    source: DecoySource,
    leaked_bits: float,
    security: Security,
    sampling: Sampling = sampled,
) -> DecoyBound:
    """Return the bound (1) on the secret key.

    l = floor(s0 + s1 - s1 h(phi) - leak - 6 log2(21/eps_sec) - log2(2/eps_cor)). ``leaked_bits`` is all that error
    correction has told, without the tag of the verification, which is the last term. Raises ValueError when the
    source is none of two decoys with mu1 > mu2 + mu3.

    More errors never lengthen the key, but those of the weakest intensity: they show that the light is not to blame.
    """
    _check(source, tallies)
    failure = security.secrecy / SHARES
    vacuum, single = photons(tallies.key_detections, source, failure)
    _, check_single = photons(tallies.check_detections, source, failure)
    errors = single_photon_errors(tallies.check_errors, source, failure)
    phase_error = sampling(failure, errors, check_single, single)
    single = min(single, sum(tallies.key_detections) - vacuum)
    surplus = (
        vacuum
        + single * (1 - binary_entropy(phase_error))
        - leaked_bits
        - 6 * log2(SHARES / security.secrecy)
        - log2(2 / security.correctness)
    )
    return DecoyBound(surplus, vacuum, single, phase_error, check_single, errors)


def photons(detections: tuple[float, ...], source: DecoySource, failure: float) -> tuple[float, float]:
    """Return s0 (2) and s1 (3): detections of no and of one photon in one basis, at least.

    s0 >= tau0 / (mu2 - mu3) [mu2 n3- - mu3 n2+],
    s1 >= tau1 mu1 / [mu1 (mu2 - mu3) - mu2^2 + mu3^2] [n2- - n3+ - (mu2^2 - mu3^2)/mu1^2 (n1+ - s0/tau0)].
    """
    total = sum(detections)
    mu1, mu2, mu3 = source.intensities
    (_, most1), (least2, most2), (least3, most3) = expectations(detections, source, failure)
    none, one = source.emission(0), source.emission(1)
    vacuum = within(0.0, none / (mu2 - mu3) * (mu2 * least3 - mu3 * most2), total)
    squares = mu2**2 - mu3**2
    rest = least2 - most3 - squares / mu1**2 * (most1 - vacuum / none)
    single = one * mu1 / (mu1 * (mu2 - mu3) - squares) * rest
    return vacuum, within(0.0, single, total)


def single_photon_errors(errors: tuple[float, ...], source: DecoySource, failure: float) -> float:
    """Return v1 <= tau1 (m2+ - m3-) / (mu2 - mu3) (4): errors of single photons in one basis, at most."""
    _, mu2, mu3 = source.intensities
    _, (_, most2), (least3, _) = expectations(errors, source, failure)
    return max(0.0, source.emission(1) * (most2 - least3) / (mu2 - mu3))


def at_proportional_secrecy(
    bound: Callable[[Security], DecoyBound], key_bits: float, per_bit: float, correctness: float
) -> DecoyBound:
    """Return the bound with eps_sec = kappa l, kappa being the secrecy ``per_bit`` of the key: the paper's figures.

    ``bound`` takes the security. The length of the key depends on eps_sec and the other way round: the largest pair
    that fits is approached from l = ``key_bits``.
    """
    length = key_bits
    while True:
        found = bound(Security(per_bit * max(1.0, length), correctness))
        if found.surplus >= length - 0.5 or found.surplus <= 1:
            return found
        length = found.surplus


def _check(source: DecoySource, tallies: Tallies) -> None:
    if len(source.intensities) != 3 or tallies.levels != 3:
        raise ValueError(
            f"two decoys are three intensities; the source has {len(source.intensities)}, the tallies {tallies.levels}"
        )
    mu1, mu2, mu3 = source.intensities
    if mu1 <= mu2 + mu3:
        raise ValueError(
            f"the signal {mu1} is not above the sum of the decoys {mu2} and {mu3}, and the bound needs that"
        )
