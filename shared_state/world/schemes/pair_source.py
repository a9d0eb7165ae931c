"""A source of entangled photon pairs between two ends, or at one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shared_state.config import FibreConfig, PhotonPairSource, TapConfig
from shared_state.world.schemes.arms import arms, cycle
from shared_state.world.schemes.scheme import Scheme, State, Trials
from shared_state.world.schemes.tapped import disturbed, met
from shared_state.world.schemes.werner import werner_state


def photon_pair(source: PhotonPairSource, eta: tuple[float, float]) -> tuple[State, float]:
    """Return the state of a pair that both ends herald and the success probability of an attempt.

    An end heralds its photon with probability ``eta``, and otherwise a dark count. Both real: a Werner pair. As soon
    as one is dark it is I/2, and so is the other, half of a Werner pair without its partner: I/4.

    Raises ValueError where no attempt can succeed.
    """
    probability = _success(source, eta)
    if not probability > 0:
        raise ValueError("no attempt ever succeeds: give the source light that arrives, or dark counts.")
    share = source.pair_probability * eta[0] * eta[1] / probability
    return share * werner_state(source.fidelity) + (1 - share) * np.eye(4) / 4, probability


def pair_source(source: PhotonPairSource, fibre: FibreConfig, taps: Sequence[TapConfig] = ()) -> Scheme:
    """Return what a photon-pair source amounts to on a fibre with taps.

    Each end stores its photon on arrival and knows when the other end's acknowledgement has come through the whole
    fibre. Raises ValueError where no attempt can succeed.
    """
    link = arms(fibre, source.midpoint, taps, outward=True)
    eta, chance = link.detection(source.emission), source.pair_probability
    state, probability = photon_pair(source, eta)
    first, second = link.delays
    heralded = (first + 2 * second, second + 2 * first)
    period = cycle(source.attempt_rate, heralded, multiplexed=source.multiplexed)
    emitting = replace(source, pair_probability=1.0)
    encounters = met(
        link.stops, (chance, chance), eta, source.emission, lambda _, eta: _success(emitting, eta)
    )
    trials, left = Trials(probability, period), disturbed(state, link.stops)
    return Scheme(left, trials, link.delays, heralded, source.memories, encounters)


def _success(source: PhotonPairSource, eta: tuple[float, float]) -> float:
    (eta_a, eta_b), pd, pairs = eta, source.dark_count_probability, source.pair_probability
    one_dark = pairs * (eta_a * (1 - eta_b) + (1 - eta_a) * eta_b) * pd
    both_dark = (pairs * (1 - eta_a) * (1 - eta_b) + 1 - pairs) * pd**2
    return pairs * eta_a * eta_b + one_dark + both_dark
