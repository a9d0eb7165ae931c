"""Is it the Bell state that it should be, and is it entangled? Answers from XX, YY and ZZ alone.

A Bell state is the common eigenstate of XX, YY and ZZ, so its projector is a sum of these three (O. Guehne et al.,
PRA 66, 062305, 2002), and each is measured locally: both parties measure in the same basis and compare afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.estimation.estimates import Estimate, weighted_sum


def bell_fidelity(xx: Estimate, yy: Estimate, zz: Estimate, *, x: int = 0, z: int = 0) -> Estimate:
    """Estimate the fidelity with (X^x Z^z (x) I)|Phi+> from the correlations of three independent sets of pairs.

    F = [1 + (-1)^z <XX> - (-1)^(x+z) <YY> + (-1)^x <ZZ>]/4, sigma = sqrt(sum of sigma_E^2)/4. True for any state.
    """
    signs = ((-1) ** z, -((-1) ** (x + z)), (-1) ** x)
    return weighted_sum(zip((sign / 4 for sign in signs), (xx, yy, zz), strict=True), constant=0.25)


@dataclass(frozen=True, slots=True)
class Witness(Estimate):
    """The mean of the entanglement witness W = 1/2 - |B><B| of a Bell state B: no separable state makes it negative."""

    @property
    def sigmas(self) -> float:
        """Say by how many standard errors the mean is below zero."""
        return -self.value / self.stderr

    def entangled(self, sigmas: float) -> bool:
        """Tell whether the mean is at least so many standard errors below zero.

        Says so of a state on the border, F = 1/2, with the normal law's probability: 0.13 % at 3 sigma. With fewer
        than some 30 outcomes for each correlation the law does not hold yet and the verdict is too bold.
        """
        return self.sigmas >= sigmas


def witness(fidelity: Estimate) -> Witness:
    """Estimate <W> = 1/2 - F from the fidelity with the Bell state; a Werner state is entangled iff <W> < 0."""
    return Witness(0.5 - fidelity.value, fidelity.stderr)
