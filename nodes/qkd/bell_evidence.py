"""What the pairs of E91 say: S, and how much of the key Eve can know.

Directions are those of ``e91``: Alice's at 0, 45 and 90 degrees, Bob's at 45, 90 and 135 in the x-z plane. Key bits are
those of 45 and 45 and of 90 and 90. Ekert's check is the inequality of Clauser, Horne, Shimony and Holt.

The bound on what Eve knows is for trusted devices and not device-independent: each end measures one qubit along a
direction drawn independently and alike, whether a pair is there does not depend on it, and readouts err alike on
both outcomes. A key bit of 90 and 90 has a phase error where both halves, measured along 0 degrees instead, would have
differed, and one of 45 and 45 where they would have along 135. No pair is measured like that at both ends, but for any
state of two qubits and N = (X - Z) / sqrt 2

    <ZZ> = [E(0, 45) - E(0, 135)] / sqrt 2,    <NN> = [E(90, 135) - E(0, 135)] / sqrt 2.

So with W = 1 times the product of the outcomes +1 and -1 at (0, 45) and (90, 135), and -2 times that at (0, 135), the
number of phase errors among the n key bits of N pairs is

    n/2 - (sum of W) / (2 sqrt 2) + D,

where D sums N terms whose mean is zero given all that came before; each has the variance 2/9 1/4 + 1/9 (1 + 4 + 1)/8 =
5/36, and none exceeds 1/sqrt 2. The inequality of D. A. Freedman, Ann. Probab. 3 (1975) 100, bounds D whatever Eve has
prepared and correlated (as J.-C. Boileau et al., Phys. Rev. Lett. 94 (2005) 040503, do by Azuma's), and the phase
errors bound what she knows (M. Tomamichel and A. Leverrier, Quantum 1 (2017) 14).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodes.errors import KeyRefused, TooFewOutcomes, TooManyErrors
from nodes.estimation import bell_inequality
from nodes.estimation.correlations import PRODUCTS
from nodes.estimation.estimates import Estimate
from nodes.qkd.block import Worth
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.estimation import FEWEST_SIFTED_BITS, bound_failure, refuse_rates, worth_of
from nodes.qkd.security import Security

FALSE_VIOLATION: Final = 1e-6
"""How probable a violation as large as is asked for may be without entanglement, the estimate being normal."""

_CHSH: Final = {(0, 0): (2, 0), (0, 1): (2, 2), (1, 0): (0, 0), (1, 1): (0, 2)}
"""Which of the directions stand for the settings of ``bell_inequality``."""
_WEIGHTS: Final = {(0, 0): 1, (0, 2): -2, (2, 2): 1}
"""W of the directions."""
_VARIANCE: Final = 5 / 36
_LARGEST: Final = 1 / sqrt(2)


@dataclass(frozen=True, slots=True)
class BellEvidence:
    """What ``pairs`` pairs say of ``key_bits`` bits of equal directions; an ``Evidence`` of a ``SiftedBlock``.

    ``counts[i, j, a, b]``: of the pairs measured along direction i of Alice's and j of Bob's so many had the outcomes a
    and b; where these directions are equal, of those only that were revealed and given up: the samples, which tell
    the error correction what to expect.
    """

    key_bits: int
    pairs: int
    counts: NDArray[np.float64]
    security: Security

    @property
    def samples(self) -> int:
        """Return how many bits of equal directions were revealed."""
        return int(self._equal().sum())

    @property
    def qber(self) -> float:
        """Return the error rate of the samples."""
        equal = self._equal()
        return float(equal[0, 1] + equal[1, 0]) / max(1.0, float(equal.sum()))

    @property
    def checked(self) -> int:
        """Return how many bits of the key were revealed."""
        return self.samples

    @property
    def s(self) -> Estimate | None:
        """Estimate S with its standard error; None where a setting never came up."""
        try:
            return bell_inequality.chsh({setting: self.counts[found] for setting, found in _CHSH.items()})
        except TooFewOutcomes:
            return None

    @property
    def phase_errors(self) -> float:
        """Estimate the number of phase errors of key and samples without bias: it may be negative."""
        weighed = sum(weight * (PRODUCTS * self.counts[found]).sum() for found, weight in _WEIGHTS.items())
        return (self.key_bits + self.samples) / 2 - float(weighed) / (2 * sqrt(2))

    @property
    def device_independent_rate(self) -> float:
        """Return r = 1 - h(Q) - h((1 + sqrt((S/2)^2 - 1))/2), 0 at least, of A. Acin et al., PRL 98 (2007) 230501.

        Secret bits a bit of long keys, were all that is known of the devices S and Q, and all attacks collective. A
        figure for comparison: nothing is made of it, and pairs that are lost would count as well.
        """
        s = 0.0 if self.s is None else min(self.s.value, 2 * sqrt(2))
        if s <= 2:
            return 0.0
        known = binary_entropy((1 + sqrt((s / 2) ** 2 - 1)) / 2)
        return max(0.0, 1 - binary_entropy(min(self.qber, 0.5)) - known)

    def refuse(self) -> None:
        """Raise ``KeyRefused`` unless S exceeds 2 by what chance does not explain and the rates leave a key."""
        s = self.s
        if s is None or self.key_bits < FEWEST_SIFTED_BITS:
            raise KeyRefused(f"{self.pairs} pairs are too few to say anything of; measure more")
        margin = NormalDist().inv_cdf(1 - FALSE_VIOLATION) * s.stderr
        if s.value - margin <= 2:
            refusal = TooManyErrors if s.value <= 2 else KeyRefused
            raise refusal(
                f"S = {s.value:.3f}, give or take {margin:.3f}, does not exceed 2: no entanglement is shown, "
                "someone measures the photons, or the pairs are too few or too poor"
            )
        refuse_rates(self.qber, max(0.0, self.phase_errors) / (self.key_bits + self.samples))

    def worth(self, leaked: int, key_errors: Sequence[int]) -> Worth:
        """Bound the phase errors by those estimated and Freedman's inequality; return what is left of the key."""
        most = max(0.0, self.phase_errors) + deviation(self.pairs, bound_failure(self.security))
        return worth_of(self.key_bits, most, leaked, self.security)

    def _equal(self) -> NDArray[np.float64]:
        equal: NDArray[np.float64] = self.counts[1, 0] + self.counts[2, 1]
        return equal


def deviation(pairs: int, failure: float) -> float:
    """Return what the phase errors of so many pairs exceed their estimate by with at most this probability.

    The t at which Freedman's bound exp(-t^2 / (2 (v + b t / 3))) is ``failure``, v being the variance of all terms and
    b the largest one.
    """
    exponent = -log(failure)
    drift = _LARGEST * exponent / 3
    return drift + sqrt(drift**2 + 2 * pairs * _VARIANCE * exponent)
