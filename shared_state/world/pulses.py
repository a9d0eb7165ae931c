"""Trains of light pulses: emission and fibre, all pulses of a train at once; an empty pulse takes no memory.

A coherent pulse whose phase is random is a Poissonian mixture of photon numbers (Lo, Ma and Chen 2005), and each
of its photons is in the same eigenstate: so a pulse is a bit, a basis and a number of photons, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared_state.config import FibreConfig
from shared_state.engine.batch import Codes
from shared_state.world.fibre import delay, transmission

Photons = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class PulseTrain:
    """Pulses on their way: ``count`` were emitted, and those that still have light are listed.

    Pulse ``indices[i]`` has ``photons[i]`` >= 1 photons, each in the eigenstate ``bits[i]`` of ``bases[i]`` (0 is Z,
    1 is X, 2 is Y); the four arrays are equally long. In seconds: ``emitted_at`` is when the first pulse left its
    source, ``period`` the time between pulses and ``delay`` the time of flight up to where the train is now.
    """

    count: int
    indices: NDArray[np.uint32]
    bits: Codes
    bases: Codes
    photons: Photons
    emitted_at: float
    period: float
    delay: float = 0.0

    def __len__(self) -> int:
        """Return the number of pulses, dark ones too."""
        return self.count

    @property
    def arrives_at(self) -> float:
        """Return when the first pulse is where the train is now."""
        return self.emitted_at + self.delay

    @property
    def complete_at(self) -> float:
        """Return when the last pulse and its period have passed where the train is now."""
        return self.arrives_at + self.count * self.period

    @property
    def size(self) -> int:
        """Return the bytes that the train takes up."""
        return 64 + self.indices.nbytes + self.bits.nbytes + self.bases.nbytes + self.photons.nbytes

    def with_photons(self, photons: Photons) -> PulseTrain:
        """Return the train with these photon numbers, shape of ``photons``; what has become dark is forgotten."""
        lit = photons > 0
        if lit.all():
            return replace(self, photons=photons)
        return replace(
            self, indices=self.indices[lit], bits=self.bits[lit], bases=self.bases[lit], photons=photons[lit]
        )


def emit(
    bits: Codes,
    bases: Codes,
    at: float,
    pulse_rate: float,
    means: NDArray[np.float64],
    rng: np.random.Generator,
) -> PulseTrain:
    """Emit a pulse per element from time ``at`` on, in the eigenstate ``bits[i]`` of ``bases[i]``.

    Its photon number is n with probability e^-mu mu^n / n!, mu = ``means[i]``; with no ``means`` every pulse is a
    single photon. Raises ValueError when the arrays differ in length.
    """
    if len(bits) != len(bases):
        raise ValueError(f"there are {len(bits)} bits and {len(bases)} bases; a pulse needs one of each.")
    if len(means) not in (0, len(bits)):
        raise ValueError(f"there are {len(bits)} pulses and {len(means)} intensities; a pulse needs one.")
    numbers = rng.poisson(means) if len(means) else np.ones(len(bits))
    indices = np.arange(len(bits), dtype=np.uint32)
    train = PulseTrain(len(bits), indices, bits, bases, numbers.astype(np.uint32), at, 1 / pulse_rate)
    return train.with_photons(train.photons)


def mean_photon_numbers(codes: Codes | None, intensities: Sequence[float], count: int) -> NDArray[np.float64]:
    """Return the mean photon number of each of ``count`` pulses; nothing where the source is of single photons.

    ``codes`` point into ``intensities``; without them every pulse has the first. Raises ValueError for a code
    that points nowhere, and when there are not ``count`` of them.
    """
    if codes is not None and len(codes) != count:
        raise ValueError(f"there are {count} pulses and {len(codes)} intensities; a pulse needs one.")
    if codes is not None and len(codes) and int(codes.max()) >= len(intensities):
        raise ValueError(
            f"the intensity {int(codes.max())} was asked for, and this transmitter has {len(intensities)}, "
            "counted from 0."
        )
    if not intensities:
        return np.zeros(0)
    return np.asarray(intensities)[np.zeros(count, dtype=np.uint8) if codes is None else codes]


def propagate(train: PulseTrain, fibre: FibreConfig, rng: np.random.Generator) -> PulseTrain:
    """Send the train through a fibre: each photon survives with its transmission, all are delayed."""
    survivors = train.with_photons(thin(train.photons, transmission(fibre), rng))
    return replace(survivors, delay=train.delay + delay(fibre))


def thin(photons: Photons, probability: float | NDArray[np.float64], rng: np.random.Generator) -> Photons:
    """Keep each photon with ``probability``, one for all pulses or one per pulse: a binomial number of each."""
    probabilities = np.broadcast_to(np.asarray(probability), photons.shape)
    # nearly all pulses have one photon, and a coin is cheaper than a binomial number
    kept: Photons = ((rng.random(len(photons)) < probabilities) & (photons > 0)).astype(np.uint32)
    several = np.flatnonzero(photons > 1)
    kept[several] = rng.binomial(photons[several], probabilities[several])
    return kept
