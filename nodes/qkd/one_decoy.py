"""BB84 with one decoy: how long a secret key is, from what was counted.

D. Rusca, A. Boaron, F. Gruenenfelder, A. Martin and H. Zbinden, *Finite-key analysis for the 1-decoy state QKD
protocol*, APL 112 (2018) 171104 (arXiv:1801.03443). J. Wiesemann et al., *A consolidated and accessible security
proof for finite-size decoy-state quantum key distribution*, arXiv:2405.16578, prove the same bounds of photon numbers
anew and close gaps around the errors that are known only after their correction. Their own evaluation leaves the
vacuum's contribution out, divides the secrecy by 15 and subtracts 4 log2(15/eps_sec) - 1; the 19 and the 6 logarithms
of the older paper, which stand here, are the more cautious ones.

With one decoy nothing tells how many clicks came from empty pulses but their errors, half of which are wrong. So the
errors of the key basis must be known, by intensity, when they have been corrected; they need not be revealed.

Where this file departs from the paper: the factor e^k/p_k that is missing in (A18); ``phase_error.sampled`` in place
of gamma, which is an approximation; expectations of counts are cut off at 0 and at the number of detections. What it
takes for granted is what ``two_decoy`` does.
"""

from __future__ import annotations

from math import log2

from nodes.qkd.entropy import binary_entropy
from nodes.qkd.phase_error import Sampling, sampled
from nodes.qkd.security import Security
from nodes.qkd.tallies import DecoyBound, DecoySource, Tallies, deviation, expectations, within

SHARES = 19
"""The secrecy is the sum of 19 failure probabilities, all alike."""


def secret_length(
    tallies: Tallies,
    source: DecoySource,
    leaked_bits: float,
    security: Security,
    sampling: Sampling = sampled,
) -> DecoyBound:
    """Return the bound on the secret key.

    l = floor(s0 + s1 [1 - h(phi)] - leak - 6 log2(19/eps_sec) - log2(2/eps_cor)). ``leaked_bits`` is all that error
    correction has told, without the tag of the verification, which is the last term. Raises ValueError when the
    source has not one decoy that shines, or when nobody counted the errors of the key.

    More errors never lengthen the key, but those of the decoy in the check basis: they show that the signal is not to
    blame.
    """
    if len(source.intensities) != 2 or tallies.levels != 2:
        raise ValueError(
            f"one decoy is two intensities; the source has {len(source.intensities)}, the tallies {tallies.levels}"
        )
    if source.intensities[1] <= 0:
        raise ValueError("a single decoy must shine: nothing follows for single photons from a dark one")
    if tallies.key_errors is None:
        raise ValueError(
            "the bound of one decoy needs the errors of the key, by intensity, once they are corrected"
        )
    failure = security.secrecy / SHARES
    single = single_photons(tallies.key_detections, tallies.key_errors, source, failure)
    vacuum = empty_pulses(tallies.key_detections, source, failure)
    check_single = single_photons(tallies.check_detections, tallies.check_errors, source, failure)
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


def empty_pulses(detections: tuple[float, ...], source: DecoySource, failure: float) -> float:
    """Return s0 >= tau0 / (mu1 - mu2) [mu1 n2- - mu2 n1+]: detections of no photon in one basis, at least."""
    mu1, mu2 = source.intensities
    (_, most1), (least2, _) = expectations(detections, source, failure)
    return within(0.0, source.emission(0) / (mu1 - mu2) * (mu1 * least2 - mu2 * most1), sum(detections))


def most_empty_pulses(
    detections: tuple[float, ...], errors: tuple[float, ...], source: DecoySource, failure: float
) -> float:
    """Return s0 <= 2 [tau0 m2+ + sqrt(n/2 ln(1/eps))] (A18): detections of no photon in one basis, at most.

    The bit of an empty pulse is wrong by a coin of Bob's, so of s0 nearly half are errors; and tau0 m2+ has them all.
    """
    total = sum(detections)
    _, (_, most2) = expectations(errors, source, failure)
    return within(0.0, 2 * (source.emission(0) * most2 + deviation(total, failure)), total)


def single_photons(
    detections: tuple[float, ...], errors: tuple[float, ...], source: DecoySource, failure: float
) -> float:
    """Return s1 (A17), detections of one photon in one basis, at least.

    s1 >= tau1 mu1 / [mu2 (mu1 - mu2)] [n2- - mu2^2/mu1^2 n1+ - (mu1^2 - mu2^2)/mu1^2 s0/tau0], s0 being the most
    empty pulses.
    """
    mu1, mu2 = source.intensities
    (_, most1), (least2, _) = expectations(detections, source, failure)
    empty = most_empty_pulses(detections, errors, source, failure)
    share = (mu2 / mu1) ** 2
    rest = least2 - share * most1 - (1 - share) * empty / source.emission(0)
    return within(0.0, source.emission(1) * mu1 / (mu2 * (mu1 - mu2)) * rest, sum(detections))


def single_photon_errors(errors: tuple[float, ...], source: DecoySource, failure: float) -> float:
    """Return v1 <= tau1 (m1+ - m2-) / (mu1 - mu2): errors of single photons in one basis, at most."""
    mu1, mu2 = source.intensities
    (_, most1), (least2, _) = expectations(errors, source, failure)
    return max(0.0, source.emission(1) * (most1 - least2) / (mu1 - mu2))
