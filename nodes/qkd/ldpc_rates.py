"""How many parities a frame needs, and what its syndrome says of its error rate.

A check of d bits fails with (1 - (1 - 2Q)^d) / 2 (R. G. Gallager, "Low-density parity-check codes", 1963, lemma 4.1),
so that the number of those that fail is an estimate of the error rate before anything is decoded.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np

from nodes.ports import Bits
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.ldpc_codes import Code

EFFICIENCY: Final = ((0.0, 1.30), (0.03, 1.26), (0.05, 1.20), (0.07, 1.17), (0.10, 1.15), (0.15, 1.13), (0.5, 1.09))
"""Parities that the codes need, over those that Shannon's limit demands, by the latter per bit."""

DEVIATIONS: Final = 1.5
"""A frame is given parities for an error rate that is so many standard deviations above what is expected."""


def parities_per_bit(qber: float, size: int) -> float:
    """Return the share of a frame of ``size`` bits that is to be told, f h(Q + k sqrt(Q(1-Q)/n))."""
    likely = min(qber, 0.5)
    unlucky = min(likely + DEVIATIONS * sqrt(likely * (1 - likely) / size), 0.5)
    limit = binary_entropy(unlucky)
    return limit * float(np.interp(limit, *zip(*EFFICIENCY, strict=True)))


def estimated_qber(difference: Bits, code: Code, size: int) -> float:
    """Return the error rate for which as many checks are expected to fail as do.

    ``difference`` is the syndrome of the errors among the first ``size`` bits of a word. Where nearly half of all checks
    fail, any higher error rate may be the true one: the result is then the lowest that cannot be told from 1/2, by
    four standard deviations.
    """
    failed = min(float(np.count_nonzero(difference)), code.checks / 2 - 2 * sqrt(code.checks))
    widths = np.diff(code.starts) * (size / code.size)
    low, high = 0.0, 0.5
    for _ in range(40):
        middle = (low + high) / 2
        expected = code.lift * np.sum(1 - (1 - 2 * middle) ** widths) / 2
        low, high = (middle, high) if expected < failed else (low, middle)
    return low
