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

LIMITS: Final = (0.01, 0.02, 0.03, 0.043, 0.062, 0.09, 0.14, 0.30, 0.50, 0.56, 0.75)
EFFICIENCIES: Final = (1.34, 1.28, 1.23, 1.18, 1.145, 1.11, 1.10, 1.095, 1.11, 1.13, 1.18)
"""Parities that the codes need over those of Shannon's limit, where the latter are so many per bit."""

DEVIATIONS: Final = 2.0
"""A frame is given parities for an error rate that is so many standard deviations above what is expected."""


def parities_per_bit(qber: float) -> float:
    """Return the share of a long frame that must be told to correct so many errors: f h(Q)."""
    limit = binary_entropy(min(qber, 0.5))
    return limit * float(np.interp(limit, LIMITS, EFFICIENCIES))


def initial_parities_per_bit(qber: float, size: int) -> float:
    """Return the share to be told at first of a frame of ``size`` bits: enough for most, whatever their luck.

    However few errors are expected, it is sqrt(24/n): then there are four pairs of checks for each pair that bits of
    degree 3 join, and no two bits may join the same pair. With fewer, bits have fewer checks, and patterns of few
    errors have the same syndrome.
    """
    likely = min(qber, 0.5)
    unlucky = likely + DEVIATIONS * sqrt(likely * (1 - likely) / size)
    return max(parities_per_bit(unlucky), sqrt(24 / size))


def estimated_qber(difference: Bits, code: Code, size: int) -> float:
    """Return the error rate for which as many checks are expected to fail as do.

    ``difference`` is the syndrome of the errors among the first ``size`` bits of a word. Where nearly half of all
    checks fail, any higher error rate may be the true one: the result is then the lowest that cannot be told from
    1/2, by four standard deviations.
    """
    failed = min(float(np.count_nonzero(difference)), code.checks / 2 - 2 * sqrt(code.checks))
    widths = np.diff(code.starts) * (size / code.size)
    low, high = 0.0, 0.5
    for _ in range(40):
        middle = (low + high) / 2
        expected = code.lift * np.sum(1 - (1 - 2 * middle) ** widths) / 2
        low, high = (middle, high) if expected < failed else (low, middle)
    return low
