"""Trains of pulses whose settings the devices draw: what their two ends come to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TrainClicks:
    """What a receiver that draws its own bases saw of a train: clicks only.

    ``indices`` are the clicks' pulses, ascending; ``bases`` (0 is Z, 1 is X) and ``bits`` belong to them, one by one.
    """

    indices: NDArray[np.int64]
    bases: NDArray[np.uint8]
    bits: NDArray[np.uint8]


class PulseSettings(NamedTuple):
    """What a transmitter drew for some pulses, one by one; ``intensities`` are indices into its mean photon numbers."""

    bits: NDArray[np.uint8]
    bases: NDArray[np.uint8]
    intensities: NDArray[np.uint8]


class Train(Protocol):
    """A train of pulses whose settings this node's transmitter drew and remembers until they are recalled."""

    async def tally(self) -> NDArray[np.int64]:
        """Return how many pulses had each intensity (row) and basis (column 0 Z, 1 X); before ``recall``."""

    async def recall(self, indices: NDArray[np.int64]) -> PulseSettings:
        """Return the settings of the pulses at ``indices``, which ascend; once, then all of the train is forgotten."""
