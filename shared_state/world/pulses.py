"""Trains of single-photon pulses: emission, fibre, detection, all photons of a train at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared_state.config import FibreConfig, PulseConfig
from shared_state.engine import batch
from shared_state.world.fibre import delay, transmission


@dataclass(frozen=True, slots=True)
class PulseTrain:
    """Pulses on their way.

    ``bloch``, shape (n, 3), holds their polarisations, and ``present``, shape (n,), says which still have
    their photon. In seconds: ``emitted_at`` is when the first pulse left its source, ``period`` the time
    between pulses and ``delay`` the time of flight up to where the train is now.
    """

    bloch: NDArray[np.float64]
    present: NDArray[np.bool_]
    emitted_at: float
    period: float
    delay: float = 0.0

    def __len__(self) -> int:
        """Return the number of pulses."""
        return len(self.present)

    @property
    def arrives_at(self) -> float:
        """Return when the first pulse is where the train is now."""
        return self.emitted_at + self.delay

    @property
    def complete_at(self) -> float:
        """Return when the last pulse and its period have passed where the train is now."""
        return self.arrives_at + len(self) * self.period


def emit(bits: batch.Codes, bases: batch.Codes, at: float, pulse_rate: float) -> PulseTrain:
    """Emit one photon per element from time ``at`` on, in the eigenstate ``bits[i]`` of ``bases[i]``.

    Bases: 0 is Z, 1 is X. Raises ValueError when the two arrays differ in length.
    """
    if len(bits) != len(bases):
        raise ValueError(f"there are {len(bits)} bits and {len(bases)} bases; a pulse needs one of each.")
    return PulseTrain(batch.eigenstates(bits, bases), np.ones(len(bits), dtype=np.bool_), at, 1 / pulse_rate)


def propagate(train: PulseTrain, fibre: FibreConfig, rng: np.random.Generator) -> PulseTrain:
    """Send the train through a fibre: each photon survives with its transmission, all are delayed."""
    survives = rng.random(len(train)) < transmission(fibre)
    return replace(train, present=train.present & survives, delay=train.delay + delay(fibre))


def detect(
    train: PulseTrain, bases: batch.Codes, pulses: PulseConfig, rng: np.random.Generator
) -> tuple[batch.Codes, batch.Codes]:
    """Measure pulse i in ``bases[i]``; return (clicked, bits), with bit 0 where nothing clicked.

    A photon clicks with the detector's efficiency; a click shows the wrong outcome with the probability
    ``misalignment``. Raises ValueError when the number of bases is not the number of pulses.
    """
    if len(bases) != len(train):
        raise ValueError(f"the train has {len(train)} pulses and {len(bases)} bases were given.")
    clicked = train.present & (rng.random(len(train)) < pulses.detectors.efficiency)
    outcomes = batch.measure(train.bloch, bases, rng.random(len(train)))
    flipped = rng.random(len(train)) < pulses.misalignment
    return clicked.astype(np.uint8), ((outcomes ^ flipped) & clicked).astype(np.uint8)
