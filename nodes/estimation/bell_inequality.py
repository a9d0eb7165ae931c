"""The inequality of J. F. Clauser, M. A. Horne, A. Shimony and R. A. Holt (PRL 23, 880, 1969)."""

from __future__ import annotations

from collections.abc import Mapping

from nodes.estimation.correlations import correlation
from nodes.estimation.estimates import Estimate, weighted_sum
from nodes.estimation.trials import Counts

SETTINGS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Which of their two directions Alice and Bob measured."""


def chsh(counts: Mapping[tuple[int, int], Counts]) -> Estimate:
    """Estimate S = E(0,0) + E(0,1) + E(1,0) - E(1,1) from the counts of the four ``SETTINGS``.

    sigma^2 is the sum of the four sigma_E^2 (see ``correlation``). Local hidden variables allow |S| <= 2, quantum
    mechanics 2 sqrt 2. Raises ``TooFewOutcomes`` where a setting never came up.
    """
    return weighted_sum((-1.0 if a and b else 1.0, correlation(counts[a, b])) for a, b in SETTINGS)


def readout_factor(alice: float, bob: float) -> float:
    """Return (2 r_A - 1)(2 r_B - 1), by which readouts of fidelity r_A and r_B diminish every correlation, hence S.

    For readouts that err alike on both outcomes. With errors e0 (0 read as 1) and e1 and r = 1 - (e0 + e1)/2 the factor
    stays, and every correlation of parties whose outcomes are balanced shifts by (e1_A - e0_A)(e1_B - e0_B) besides.
    """
    return (2 * alice - 1) * (2 * bob - 1)
