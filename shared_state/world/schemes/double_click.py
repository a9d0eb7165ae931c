"""Entanglement by two clicks, one in each of two time bins (Barrett and Kok 2005)."""

from __future__ import annotations

import numpy as np

from shared_state.config import DoubleClickSource, FibreConfig
from shared_state.world.schemes.arms import arms, cycle
from shared_state.world.schemes.clicks import double, no_photon, one_photon, single
from shared_state.world.schemes.scheme import Scheme, State, Trials, in_frame_of_phi


def double_click_pair(source: DoubleClickSource, eta: tuple[float, float]) -> tuple[State, float]:
    """Return the heralded state in the frame of Phi+ and the success probability of an attempt.

    Each end makes (|0, early> + |1, late>)/sqrt 2, its photon is detected with probability ``eta``. The herald is
    exactly one click in each bin: in the same detector it tells Psi+, in different ones Psi-, and both ends
    correct that. Equal bits send both photons into one bin, so the other one must click in the dark.

    Raises ValueError where no attempt can succeed.
    """
    (eta_a, eta_b), pd = eta, source.dark_count_probability
    equal = double(eta_a, eta_b, source.visibility, pd) * no_photon(pd)
    different = single(eta_a, pd) * single(eta_b, pd)
    # |<a|b>|^2 = V: the two ends' photons have changed places in both bins
    coherence = source.visibility * eta_a * eta_b * one_photon(pd) ** 2
    return in_frame_of_phi(np.array([equal, different, different, equal]) / 4, coherence / 4)


def double_click(source: DoubleClickSource, fibre: FibreConfig) -> Scheme:
    """Return what a double-click source amounts to on a fibre. Raises ValueError where no attempt can succeed."""
    link = arms(fibre, source.midpoint)
    state, probability = double_click_pair(source, link.detection(source.emission))
    stored, heralded = link.meeting()
    period = cycle(source.attempt_rate, heralded, multiplexed=source.multiplexed)
    return Scheme(state, Trials(probability, period), stored, heralded)
