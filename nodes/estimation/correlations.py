"""How alike the outcomes of two parties are: the correlation E = <PQ>, and the error rate of their bits, (1 - E)/2."""

from __future__ import annotations

import numpy as np

from nodes.estimation.estimates import Estimate, mean_score
from nodes.estimation.trials import Counts

PRODUCTS = np.array([[1.0, -1.0], [-1.0, 1.0]])


def correlation(counts: Counts) -> Estimate:
    """Estimate E = <PQ>, the mean product of the outcomes +1 and -1: (equal - different)/N.

    sigma = sqrt((1 - E^2)/N), and 2/(N + 1) where all N products agree. Raises ``TooFewOutcomes`` when N = 0.
    """
    return mean_score(PRODUCTS, counts)


def error_rate(errors: float, compared: float) -> Estimate:
    """Estimate the rate Q of which ``compared`` bits showed ``errors``: the QBER of a key.

    sigma = sqrt(Q (1 - Q)/N), and 1/(N + 1) where none or all of the N bits differ. This is the spread of the rate that
    was found; for what a key of finite length must allow for, see the exact bound in ``nodes.qkd.estimation``.
    Raises ``TooFewOutcomes`` when no bit was compared.
    """
    return mean_score(np.array([0.0, 1.0]), np.array([compared - errors, errors], dtype=np.float64))
