"""Trains whose settings the devices draw: only pulses that can be detected are ever looked at one by one.

The transmitter chooses intensity, basis and bit of each pulse by its own dice, so pulses differ only by what is
drawn. How many of each setting arrive with how much light is counted (``photon_census``); those with a photon that
will be detected get a place in the train, each set of places being as likely. Of the others it is known how many there
are of each setting, and which is where is drawn when it is asked for: the law is that of an explicit train.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared_state.config import PulseConfig
from shared_state.engine.batch import Codes
from shared_state.world.fibre import transmission
from shared_state.world.path import Path
from shared_state.world.photon_census import Census, emit_census, meet_census, thin_census
from shared_state.world.positions import coins, ranks, scattered, tosses
from shared_state.world.pulses import PulseTrain

MAX_TRAIN: Final = 2**28
"""Pulses in one request, however dark."""
MAX_DETECTIONS: Final = 2**16
"""Detections that one request may lead to on average, so that none takes long."""


class Settings(NamedTuple):
    """What a transmitter has drawn for some pulses, an element each; 0 is Z, 1 is X; intensities are codes."""

    bits: Codes
    bases: Codes
    intensities: Codes


@dataclass(frozen=True, slots=True, eq=False)
class SentTrain:
    """What a transmitter remembers of a train of ``count`` pulses; setting 2 k + b is intensity k in basis b.

    Pulse ``indices[i]``, sorted, was of ``settings[i]`` and had ``bits[i]``; ``dark[s]`` others were of setting s.
    """

    count: int
    indices: NDArray[np.uint32]
    bits: Codes
    settings: NDArray[np.uint16]
    dark: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Return the bytes that this takes up, roughly."""
        return 1024 + self.indices.nbytes + self.bits.nbytes + self.settings.nbytes

    @property
    def tally(self) -> NDArray[np.int64]:
        """Return how many pulses were sent, of shape (intensities, 2): per intensity, in Z and in X."""
        lit = np.bincount(self.settings, minlength=len(self.dark))
        return (lit + self.dark).reshape(-1, 2)

    def recall(self, indices: NDArray[np.uint32], rng: np.random.Generator) -> Settings:
        """Return the settings at ``indices``, which ascend strictly; what nobody knew yet is drawn; ask once."""
        known = np.zeros(len(indices), dtype=np.bool_)
        bits, settings = np.zeros(len(indices), dtype=np.uint8), np.zeros(len(indices), dtype=np.uint16)
        if len(self.indices):
            places = np.minimum(ranks(self.indices, indices), len(self.indices) - 1)
            known = self.indices[places] == indices
            bits, settings = self.bits.take(places), self.settings.take(places)
        unknown = np.flatnonzero(~known)
        bits[unknown] = coins(len(unknown), rng)
        # some of the dark pulses, any as likely as others: without replacement from all of them
        drawn = rng.multivariate_hypergeometric(self.dark, len(unknown), method="marginals")
        others = np.repeat(np.arange(len(drawn)), drawn)
        rng.shuffle(others)
        settings[unknown] = others
        return Settings(bits, (settings & 1).astype(np.uint8), (settings >> 1).astype(np.uint8))


def longest(pulses: PulseConfig, path: Path) -> int:
    """Return how many pulses may be sent at once so that few enough are detected.

    The probability of light in the end is at most the mean photon number there, which no tap can raise.
    """
    share = pulses.detectors.efficiency
    for fibre, tap in path.stretches:
        share *= transmission(fibre)
        if tap is not None and tap.config.strategy == "beam-splitting":
            share *= 1 - tap.config.fraction
    lit = [min(1.0, mean * share) for mean in pulses.intensities or (1.0,)]
    probability = float(np.dot(_weights(pulses), lit)) + 2 * pulses.detectors.dark_count_probability
    return min(MAX_TRAIN, max(1, int(MAX_DETECTIONS / max(probability, 1 / MAX_TRAIN))))


def draw_train(
    count: int, at: float, pulses: PulseConfig, path: Path, rng: np.random.Generator
) -> tuple[PulseTrain, SentTrain]:
    """Send a train through a path; return what comes out and what the transmitter remembers.

    The detectors' efficiency is part of the loss already: the photons that come out are those that will be detected
    (but for the side peaks of time bins).
    """
    in_z = pulses.basis_probability
    chances = np.outer(_weights(pulses), (in_z, 1 - in_z)).ravel()
    settings = rng.multinomial(count, chances)
    census = _carry(settings, pulses, path, rng)
    setting, basis, spoiled, photons = np.nonzero(census[..., 1:])
    numbers = census[setting, basis, spoiled, photons + 1]
    indices, kinds = scattered(count, numbers, rng)
    sent = coins(len(indices), rng)
    bits = sent
    if spoiled.any():
        bits = np.where(spoiled.astype(np.bool_)[kinds], coins(len(indices), rng), sent)
    bases, lit = basis.astype(np.uint8).take(kinds), (photons + 1).astype(np.uint32).take(kinds)
    train = PulseTrain(count, indices, bits, bases, lit, at, 1 / pulses.pulse_rate, path.delay)
    dark = census[..., 0].sum(axis=(1, 2))
    return train, SentTrain(count, indices, sent, setting.astype(np.uint16).take(kinds), dark)


def draw_bases(count: int, pulses: PulseConfig, rng: np.random.Generator) -> Codes:
    """Draw bases as the devices do: 0, which is Z, with ``basis_probability``."""
    return tosses(count, 1 - pulses.basis_probability, rng).view(np.uint8)


def _carry(settings: NDArray[np.int64], pulses: PulseConfig, path: Path, rng: np.random.Generator) -> Census:
    losses = [transmission(fibre) for fibre, _ in path.stretches]
    losses[-1] *= pulses.detectors.efficiency
    census = emit_census(settings, pulses.intensities, losses[0], rng)
    for number, (_, tap) in enumerate(path.stretches):
        if number > 0:
            census = thin_census(census, losses[number], path.rng)
        if tap is not None:
            census = meet_census(tap, census)
    return census


def _weights(pulses: PulseConfig) -> NDArray[np.float64]:
    """Return how often each intensity is chosen; all alike where nothing is said."""
    weights = np.array(pulses.intensity_probabilities or (1.0,) * max(1, len(pulses.intensities)))
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares
