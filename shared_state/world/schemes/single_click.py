"""Entanglement by one click (Cabrillo et al. 1999; Bose et al. 1999)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

from shared_state.config import FibreConfig, SingleClickSource, TapConfig
from shared_state.engine.pairs import Side
from shared_state.world.schemes.arms import arms, cycle
from shared_state.world.schemes.clicks import double, no_photon, one_photon, single
from shared_state.world.schemes.scheme import Scheme, State, Trials, in_frame_of_phi
from shared_state.world.schemes.tapped import disturbed, met


def single_click_pair(source: SingleClickSource, eta: tuple[float, float]) -> tuple[State, float]:
    """Return the heralded state in the frame of Phi+ and the success probability of an attempt.

    Each end prepares sqrt(1-alpha) |0> + sqrt(alpha) |1> and the bright |1> emits a photon that is detected with
    probability ``eta``. The herald is exactly one click. Which detector clicked tells the sign of the coherence
    |01><10| = sqrt(V a (1-a) b (1-b) eta_A eta_B) (1-pd), which both ends correct.

    Raises ValueError where no attempt can succeed.
    """
    (a, b), (eta_a, eta_b), pd = source.alpha, eta, source.dark_count_probability
    coherence = sqrt(source.visibility * a * (1 - a) * b * (1 - b) * eta_a * eta_b) * one_photon(pd)
    # dephasing with p/2 on each of the two spins
    coherence *= exp(-(source.phase_deviation**2) / 2) * (1 - source.double_excitation) ** 2
    return in_frame_of_phi(_populations(source, eta), coherence)


def single_click(source: SingleClickSource, fibre: FibreConfig, taps: Sequence[TapConfig] = ()) -> Scheme:
    """Return what a single-click source amounts to on a fibre with taps.

    Who measures whether there is a photon, and sends one on if so, tells |0> from |1>: that dephases, and no more.
    Raises ValueError where no attempt can succeed.
    """
    link = arms(fibre, source.midpoint, taps)
    eta = link.detection(source.emission)
    state, probability = single_click_pair(source, eta)
    stored, heralded = link.meeting()
    period = cycle(source.attempt_rate, heralded, multiplexed=source.multiplexed)
    (a, b), (one, other) = source.alpha, source.emission

    def success(side: Side, eta: tuple[float, float]) -> float:
        bright = replace(source, alpha=(a, 1.0) if side else (1.0, b))
        return float(_populations(bright, eta).sum())

    encounters = met(link.stops, (a * one, b * other), eta, (1.0, 1.0), success)
    trials = Trials(probability, period)
    left = disturbed(state, link.stops, of_number=True)
    return Scheme(left, trials, stored, heralded, encounters=encounters)


def _populations(source: SingleClickSource, eta: tuple[float, float]) -> NDArray[np.float64]:
    (a, b), (eta_a, eta_b), pd = source.alpha, eta, source.dark_count_probability
    return np.array(
        [
            (1 - a) * (1 - b) * no_photon(pd),
            (1 - a) * b * single(eta_b, pd),
            a * (1 - b) * single(eta_a, pd),
            a * b * double(eta_a, eta_b, source.visibility, pd),
        ]
    )
