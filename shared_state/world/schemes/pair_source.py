"""A source of entangled photon pairs between two ends, or at one of them."""

from __future__ import annotations

import numpy as np

from shared_state.config import FibreConfig, PhotonPairSource
from shared_state.world.schemes.arms import arms, cycle
from shared_state.world.schemes.scheme import Scheme, State, Trials
from shared_state.world.schemes.werner import werner_state


def photon_pair(source: PhotonPairSource, eta: tuple[float, float]) -> tuple[State, float]:
    """Return the state of a pair that both ends herald and the success probability of an attempt.

    An end heralds its photon with probability ``eta``, and otherwise a dark count. Both real: a Werner pair. As soon
    as one is dark it is I/2, and so is the other, half of a Werner pair without its partner: I/4.

    Raises ValueError where no attempt can succeed.
    """
    (eta_a, eta_b), pd, pairs = eta, source.dark_count_probability, source.pair_probability
    real = pairs * eta_a * eta_b
    one_dark = pairs * (eta_a * (1 - eta_b) + (1 - eta_a) * eta_b) * pd
    both_dark = (pairs * (1 - eta_a) * (1 - eta_b) + 1 - pairs) * pd**2
    probability = real + one_dark + both_dark
    if not probability > 0:
        raise ValueError("no attempt ever succeeds: give the source light that arrives, or dark counts.")
    share = real / probability
    return share * werner_state(source.fidelity) + (1 - share) * np.eye(4) / 4, probability


def pair_source(source: PhotonPairSource, fibre: FibreConfig) -> Scheme:
    """Return what a photon-pair source amounts to on a fibre.

    Each end stores its photon on arrival and knows when the other end's acknowledgement has come through the whole
    fibre. Raises ValueError where no attempt can succeed.
    """
    link = arms(fibre, source.midpoint)
    state, probability = photon_pair(source, link.detection(source.emission))
    first, second = link.delays
    heralded = (first + 2 * second, second + 2 * first)
    period = cycle(source.attempt_rate, heralded, multiplexed=source.multiplexed)
    return Scheme(state, Trials(probability, period), link.delays, heralded, source.memories)
