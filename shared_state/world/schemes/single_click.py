"""Entanglement by one click (Cabrillo et al. 1999; Bose et al. 1999)."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np

from shared_state.config import FibreConfig, SingleClickSource
from shared_state.world.schemes.arms import arms, cycle
from shared_state.world.schemes.clicks import double, no_photon, one_photon, single
from shared_state.world.schemes.scheme import Scheme, State, Trials, in_frame_of_phi


def single_click_pair(source: SingleClickSource, eta: tuple[float, float]) -> tuple[State, float]:
    """Return the heralded state in the frame of Phi+ and the success probability of an attempt.

    Each end prepares sqrt(1-alpha) |0> + sqrt(alpha) |1> and the bright |1> emits a photon that is detected with
    probability ``eta``. The herald is exactly one click. Which detector clicked tells the sign of the coherence
    |01><10| = sqrt(V a (1-a) b (1-b) eta_A eta_B) (1-pd), which both ends correct.

    Raises ValueError where no attempt can succeed.
    """
    (a, b), (eta_a, eta_b), pd = source.alpha, eta, source.dark_count_probability
    populations = np.array(
        [
            (1 - a) * (1 - b) * no_photon(pd),
            (1 - a) * b * single(eta_b, pd),
            a * (1 - b) * single(eta_a, pd),
            a * b * double(eta_a, eta_b, source.visibility, pd),
        ]
    )
    coherence = sqrt(source.visibility * a * (1 - a) * b * (1 - b) * eta_a * eta_b) * one_photon(pd)
    # dephasing with p/2 on each of the two spins
    coherence *= exp(-(source.phase_deviation**2) / 2) * (1 - source.double_excitation) ** 2
    return in_frame_of_phi(populations, coherence)


def single_click(source: SingleClickSource, fibre: FibreConfig) -> Scheme:
    """Return what a single-click source amounts to on a fibre. Raises ValueError where no attempt can succeed."""
    link = arms(fibre, source.midpoint)
    state, probability = single_click_pair(source, link.detection(source.emission))
    stored, heralded = link.meeting()
    period = cycle(source.attempt_rate, heralded, multiplexed=source.multiplexed)
    return Scheme(state, Trials(probability, period), stored, heralded)
