"""How many checks the bits of a good code take part in, by the share of its checks.

D. Elkouss, A. Leverrier, R. Alleaume and J. J. Boutros, "Efficient reconciliation protocol for discrete-variable
quantum key distribution", ISIT 2009, 1879 (arXiv:0901.2140), search by density evolution for the degrees with which
belief propagation corrects most errors of a binary symmetric channel. The degrees below were found the same way, but
for a decoder that stops after 60 to 70 parallel iterations (30 to 35 in layers), so that decoding is fast, and with
fewer bits of degree 2 than checks, so that these close no short cycles among themselves. Checks are all alike, within
one edge.
"""

from __future__ import annotations

from typing import Final

import numpy as np

LARGEST_DEGREE: Final = 60
"""The decoder's arithmetic allows no more."""

FRACTIONS: Final = {
    0.03: {2: 0.0160, 3: 0.5450, 4: 0.0150, 6: 0.0120, 9: 0.4120},
    0.05: {2: 0.0275, 3: 0.4815, 4: 0.1182, 6: 0.0905, 10: 0.0814, 16: 0.2009},
    0.07: {2: 0.0385, 3: 0.5133, 4: 0.0460, 6: 0.1780, 10: 0.0298, 18: 0.1944},
    0.10: {2: 0.0660, 3: 0.5260, 4: 0.0433, 6: 0.0870, 10: 0.1501, 16: 0.0473, 28: 0.0282, 45: 0.0521},
    0.15: {2: 0.0712, 3: 0.6015, 4: 0.0263, 6: 0.0218, 10: 0.1721, 16: 0.0440, 28: 0.0106, 45: 0.0525},
    0.20: {2: 0.1442, 3: 0.5387, 4: 0.0299, 6: 0.0248, 10: 0.1607, 16: 0.0407, 30: 0.0327, 50: 0.0283},
    0.30: {2: 0.2256, 3: 0.4568, 4: 0.0748, 6: 0.0335, 9: 0.0868, 16: 0.0696, 28: 0.0283, 55: 0.0246},
    0.50: {2: 0.3001, 3: 0.4725, 4: 0.0344, 6: 0.0179, 9: 0.0853, 16: 0.0484, 28: 0.0208, 55: 0.0206},
    0.60: {2: 0.3452, 3: 0.4154, 4: 0.0554, 6: 0.0548, 9: 0.0639, 16: 0.0222, 28: 0.0326, 55: 0.0105},
}
"""The fraction of columns of each degree, by checks per bit."""


def column_degrees(columns: int, rows: int) -> list[int]:
    """Return the degrees of so many columns, ascending; none exceeds the number of rows.

    Between two entries of the table, fractions are interpolated.
    """
    fractions = _fractions(rows / columns)
    ordered = sorted(fractions)
    ends = np.rint(np.cumsum([fractions[degree] for degree in ordered]) / sum(fractions.values()) * columns)
    counts = np.diff(ends, prepend=0).astype(int)
    return [min(degree, rows) for degree, count in zip(ordered, counts, strict=True) for _ in range(count)]


def _fractions(share: float) -> dict[int, float]:
    shares = sorted(FRACTIONS)
    share = min(max(share, shares[0]), shares[-1])
    above = next(entry for entry in shares if entry >= share)
    below = max((entry for entry in shares if entry <= share), default=above)
    weight = 0.0 if above == below else (share - below) / (above - below)
    low, high = FRACTIONS[below], FRACTIONS[above]
    return {
        degree: (1 - weight) * low.get(degree, 0.0) + weight * high.get(degree, 0.0) for degree in low | high
    }
