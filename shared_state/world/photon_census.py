"""How many pulses of a train have which photon number, on their way past losses and taps.

Pulses whose settings were drawn alike are alike, so it suffices to count them: an array of shape
(settings, 3, 2, photons + 1) says how many pulses of each setting of the transmitter are now in the basis 0 Z, 1 X
or 2 Y, with 0 the sender's bit or 1 a coin's, and of which photon number. Each step draws from the multinomial law
of what becomes of the pulses of a cell; that is the law of pulses that pass one by one, and costs nothing per pulse.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, lgamma, log, sqrt
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.world.taps import Tap

Census: TypeAlias = NDArray[np.int64]
_CODES: Final = {"Z": 0, "X": 1, "Y": 2}


def emit_census(
    settings: NDArray[np.int64], means: Sequence[float], transmission: float, rng: np.random.Generator
) -> Census:
    """Emit ``settings[2 k + b]`` pulses of intensity ``means[k]`` in basis b; count what passes a first loss.

    Poissonian light of mean mu that is thinned is Poissonian of mean mu times ``transmission``; with no ``means``
    every pulse is a single photon.
    """
    if means:
        laws = np.repeat(poissonian([mean * transmission for mean in means]), 2, axis=0)
    else:
        laws = np.tile([1 - transmission, transmission], (2, 1))
    census = np.zeros((len(settings), 3, 2, laws.shape[1]), dtype=np.int64)
    setting = np.arange(len(settings))
    census[setting, setting % 2, 0] = _deal(settings, laws, rng)
    return census


def thin_census(census: Census, probability: float, rng: np.random.Generator) -> Census:
    """Keep each photon with ``probability``."""
    *cells, photons = np.nonzero(census)
    law = _binomial(census.shape[-1] - 1, probability)
    thinned = np.zeros_like(census)
    np.add.at(thinned, tuple(cells), _deal(census[*cells, photons], law[photons], rng))
    return thinned


def meet_census(tap: Tap, census: Census) -> Census:
    """Let the pulses pass by a tap: ``Tap.meet_pulses`` for all of a kind at a time, its books included."""
    numbers = np.arange(census.shape[-1])
    before = census
    tap.report.pulses += int(before[..., 1:].sum())
    match tap.config.strategy:
        case "intercept-resend":
            return _intercept(tap, census)
        case "photon-number-splitting":
            taken = np.where(numbers > 1, tap.config.fraction, tap.config.blocking) * (numbers > 0)
            split = tap.rng.binomial(census, taken)
            census = census - split
            census[..., :-1] += split[..., 1:]
        case "beam-splitting":
            census = thin_census(census, 1 - tap.config.fraction, tap.rng)
    tap.report.kept += int(((before - census) * numbers).sum())
    return census


def poissonian(means: Sequence[float]) -> NDArray[np.float64]:
    """Return e^-mu mu^n / n! of each mean, a row each; what lies beyond the last n is below 10^-20."""
    numbers = np.arange(ceil(max(means) + 12 * sqrt(max(means))) + 21)
    factorials = np.array([lgamma(n + 1) for n in numbers])
    rows = [np.exp(numbers * log(mean) - mean - factorials) if mean > 0 else numbers == 0 for mean in means]
    table = np.array(rows, dtype=np.float64)
    # the exponentials of large numbers are rounded: what is drawn from must add up to 1
    normalised: NDArray[np.float64] = table / table.sum(axis=1, keepdims=True)
    return normalised


def _intercept(tap: Tap, census: Census) -> Census:
    """Replace ``fraction`` of the lit pulses by single photons in the basis and with the bit that Eve found."""
    numbers = np.arange(census.shape[-1])
    met = tap.rng.binomial(census, tap.config.fraction * (numbers > 0))
    tap.report.kept += int((met * numbers).sum())
    tap.report.resent += int(met.sum())
    census, found = census - met, met.sum(axis=-1)
    if tap.config.basis == "random":
        in_z = tap.rng.binomial(found, 0.5)
        measured = {0: in_z, 1: found - in_z}
    else:
        measured = {_CODES[tap.config.basis]: found}
    for basis, pulses in measured.items():
        # the bit survives in its own basis only; whoever measures in another finds a coin's toss
        census[:, basis, :, 1] += pulses[:, basis, :]
        census[:, basis, 1, 1] += pulses.sum(axis=(1, 2)) - pulses[:, basis].sum(axis=1)
    return census


def _binomial(photons: int, probability: float) -> NDArray[np.float64]:
    """Return the law of how many of n photons survive: row n, column the survivors."""
    law = np.zeros((photons + 1, photons + 1))
    law[0, 0] = 1
    for n in range(photons):
        law[n + 1] = (1 - probability) * law[n]
        law[n + 1, 1:] += probability * law[n, :-1]
    return law


def _deal(counts: NDArray[np.int64], laws: NDArray[np.float64], rng: np.random.Generator) -> Census:
    """Deal the pulses of each row to photon numbers by the row's law."""
    # what rounding leaves over goes to the last, which shall be darkness
    dealt: Census = rng.multinomial(counts, laws[:, ::-1])[:, ::-1]
    return dealt
