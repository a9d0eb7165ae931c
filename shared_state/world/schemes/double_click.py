"""Entanglement by two clicks, one in each of two time bins (Barrett and Kok 2005)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared_state.config import DoubleClickSource, FibreConfig, TapConfig
from shared_state.world.schemes.arms import arms, cycle
from shared_state.world.schemes.clicks import double, no_photon, one_photon, single
from shared_state.world.schemes.scheme import Scheme, State, Trials, in_frame_of_phi
from shared_state.world.schemes.tapped import disturbed, met


def double_click_pair(source: DoubleClickSource, eta: tuple[float, float]) -> tuple[State, float]:
    """Return the heralded state in the frame of Phi+ and the success probability of an attempt.

    Each end makes (|0, early> + |1, late>)/sqrt 2, its photon is detected with probability ``eta``. The herald is
    exactly one click in each bin: in the same detector it tells Psi+, in different ones Psi-, and both ends
    correct that. Equal bits send both photons into one bin, so the other one must click in the dark.

    Raises ValueError where no attempt can succeed.
    """
    # |<a|b>|^2 = V: the two ends' photons have changed places in both bins
    coherence = source.visibility * eta[0] * eta[1] * one_photon(source.dark_count_probability) ** 2
    return in_frame_of_phi(_populations(source, eta), coherence / 4)


def double_click(source: DoubleClickSource, fibre: FibreConfig, taps: Sequence[TapConfig] = ()) -> Scheme:
    """Return what a double-click source amounts to on a fibre with taps.

    A photon is early or late, its basis Z, as its end is 0 or 1. Raises ValueError where no attempt can succeed.
    """
    link = arms(fibre, source.midpoint, taps)
    eta = link.detection(source.emission)
    state, probability = double_click_pair(source, eta)
    stored, heralded = link.meeting()
    period = cycle(source.attempt_rate, heralded, multiplexed=source.multiplexed)
    encounters = met(
        link.stops, source.emission, eta, (1.0, 1.0), lambda _, eta: float(_populations(source, eta).sum())
    )
    trials = Trials(probability, period)
    return Scheme(disturbed(state, link.stops), trials, stored, heralded, encounters=encounters)


def _populations(source: DoubleClickSource, eta: tuple[float, float]) -> NDArray[np.float64]:
    (eta_a, eta_b), pd = eta, source.dark_count_probability
    equal = double(eta_a, eta_b, source.visibility, pd) * no_photon(pd)
    different = single(eta_a, pd) * single(eta_b, pd)
    return np.array([equal, different, different, equal]) / 4
