"""What keys of infinite length cost: rates that no finite block reaches, in bits per pulse.

X. Ma, B. Qi, Y. Zhao and H.-K. Lo, *Practical decoy state for quantum key distribution*, PRA 72 (2005) 012326, after
H.-K. Lo, X. Ma and K. Chen, PRL 94 (2005) 230504, and D. Gottesman et al., QIC 4 (2004) 325. The
bound that no fibre exceeds is that of S. Pirandola, R. Laurenza, C. Ottaviani and L. Banchi, Nat. Commun. 8 (2017)
15043.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, log1p

from nodes.qkd.entropy import binary_entropy
from nodes.qkd.tallies import within


@dataclass(frozen=True, slots=True)
class WeakLightChannel:
    """A channel and a receiver for weak coherent pulses.

    ``transmission`` eta: the probability that a photon clicks, detector included. ``empty_yield`` Y0: that an empty
    pulse does. ``misalignment`` e_d: that a photon clicks in the wrong detector. Raises ValueError outside of [0, 1].
    """

    transmission: float
    empty_yield: float
    misalignment: float

    def __post_init__(self) -> None:
        for name in ("transmission", "empty_yield", "misalignment"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"the {name} {getattr(self, name)} is a probability and lies between 0 and 1"
                )

    def gain(self, mu: float) -> float:
        """Return Q_mu = Y0 + 1 - e^(-eta mu): clicks per pulse of mean photon number ``mu``."""
        return self.empty_yield + 1 - exp(-self.transmission * mu)

    def error_rate(self, mu: float) -> float:
        """Return E_mu = [Y0/2 + e_d (1 - e^(-eta mu))] / Q_mu; 1/2 where nothing clicks."""
        gain = self.gain(mu)
        wrong = self.empty_yield / 2 + self.misalignment * (1 - exp(-self.transmission * mu))
        return wrong / gain if gain > 0 else 0.5


GYS_ATTENUATION_DB_PER_KM = 0.21


def gobby_yuan_shields(km: float) -> WeakLightChannel:
    """Return the channel that decoy states are compared on: APL 84 (2004) 3762, with 4.5 % of the photons detected."""
    return WeakLightChannel(0.045 * 10 ** (-GYS_ATTENUATION_DB_PER_KM * km / 10), 1.7e-6, 0.033)


def infinite_decoy_rate(
    channel: WeakLightChannel, mu: float, efficiency: float = 1.22, sifting: float = 0.5
) -> float:
    """Return the rate where infinitely many decoys tell everything of single photons; 0 where there is no key.

    R = q {-f Q_mu h(E_mu) + Q1 [1 - h(e1)]} with Y1 = Y0 + eta, Q1 = Y1 mu e^-mu, e1 = (Y0/2 + e_d eta) / Y1;
    ``efficiency`` f of error correction, ``sifting`` q.
    """
    single = channel.empty_yield + channel.transmission
    wrong = channel.empty_yield / 2 + channel.misalignment * channel.transmission
    return _rate(channel, mu, single, wrong / single if single > 0 else 0.5, efficiency, sifting)


def vacuum_and_weak_rate(
    channel: WeakLightChannel, mu: float, nu: float, efficiency: float = 1.22, sifting: float = 0.5
) -> float:
    """Return the rate with two decoys, of mean photon numbers ``nu`` and 0; 0 where there is no key.

    Y1 >= mu / (mu nu - nu^2) [Q_nu e^nu - Q_mu e^mu nu^2/mu^2 - (mu^2 - nu^2)/mu^2 Y0] and
    e1 <= (E_nu Q_nu e^nu - Y0/2) / (Y1 nu). Raises ValueError unless mu > nu > 0.
    """
    if not mu > nu > 0:
        raise ValueError(f"the weak decoy {nu} must lie between 0 and the signal {mu}")
    share = (nu / mu) ** 2
    decoy, empty = channel.gain(nu) * exp(nu), channel.empty_yield
    single = mu / (mu * nu - nu**2) * (decoy - share * channel.gain(mu) * exp(mu) - (1 - share) * empty)
    if single <= 0:
        return 0.0
    wrong = (channel.error_rate(nu) * decoy - empty / 2) / (single * nu)
    return _rate(channel, mu, single, wrong, efficiency, sifting)


def plob_bound(transmission: float) -> float:
    """Return -log2(1 - eta): secret bits per pulse and mode that a lossy fibre carries at most, without a repeater."""
    if not 0 <= transmission <= 1:
        raise ValueError(f"the transmission {transmission} is a probability and lies between 0 and 1")
    return inf if transmission == 1 else -log1p(-transmission) / log(2)


def _rate(
    channel: WeakLightChannel, mu: float, single: float, error: float, efficiency: float, sifting: float
) -> float:
    """Return the rate, with the yield and the error rate of single photons."""
    secret = single * mu * exp(-mu) * (1 - binary_entropy(within(0.0, error, 0.5)))
    told = efficiency * channel.gain(mu) * binary_entropy(within(0.0, channel.error_rate(mu), 0.5))
    return max(0.0, sifting * (secret - told))
