"""How many checks the bits of a good code take part in, by the share of its checks.

D. Elkouss, A. Leverrier, R. Alleaume and J. J. Boutros, "Efficient reconciliation protocol for discrete-variable
quantum key distribution", ISIT 2009, 1879 (arXiv:0901.2140), search by density evolution for the degrees with which
belief propagation corrects most errors of a binary symmetric channel. The degrees below were found the same way, but
for a decoder that stops after 40 parallel iterations (20 in layers), so that decoding is fast, and with fewer bits of
degree 2 than checks, so that these close no short cycles among themselves. Checks are all alike, within one edge.
"""

from __future__ import annotations

from typing import Final

import numpy as np

LARGEST_DEGREE: Final = 60
"""The decoder's arithmetic allows no more."""

FRACTIONS: Final = {
    0.03: {2: 0.0285, 3: 0.5324, 4: 0.0152, 6: 0.0124, 9: 0.4114},
    0.05: {2: 0.0414, 3: 0.5013, 4: 0.0753, 6: 0.0811, 10: 0.0977, 14: 0.2032},
    0.07: {2: 0.0665, 3: 0.5460, 4: 0.0262, 6: 0.0228, 10: 0.2178, 18: 0.1207},
    0.10: {2: 0.0934, 3: 0.3627, 4: 0.2121, 6: 0.1129, 10: 0.0454, 16: 0.0726, 28: 0.1009},
    0.15: {2: 0.1092, 3: 0.4830, 4: 0.0784, 6: 0.1235, 10: 0.0553, 16: 0.0563, 28: 0.0944},
    0.20: {2: 0.1394, 3: 0.5079, 4: 0.0708, 6: 0.0309, 10: 0.1470, 16: 0.0410, 30: 0.0630},
    0.30: {2: 0.1800, 3: 0.4541, 4: 0.1386, 6: 0.0415, 9: 0.0570, 16: 0.0809, 40: 0.0479},
    0.40: {2: 0.2061, 3: 0.5066, 4: 0.0704, 6: 0.0474, 9: 0.0609, 16: 0.0645, 40: 0.0441},
    0.50: {2: 0.2303, 3: 0.5377, 4: 0.0592, 6: 0.0225, 9: 0.0410, 16: 0.0845, 40: 0.0248},
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
