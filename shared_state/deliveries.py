"""What the quantum world delivers to a node: qubits, outcomes and clicks, each with its emulated time in seconds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared_state.arguments import Bits


class PairDelivery(NamedTuple):
    """One end of a heralded pair: the id that both ends hold, this end's qubit, and the herald's time."""

    pair: str
    qubit: int
    time: float


class PairsDelivery(NamedTuple):
    """One end of heralded pairs: this end's batch, the number of the first pair on its link, the heralds' times."""

    batch: int
    first: int
    times: NDArray[np.float64]


class PairOutcomes(NamedTuple):
    """Pairs measured on arrival: this end's bases (0 is Z, 1 X, 2 Y) and bits, and when it knew of each."""

    bases: Bits
    bits: Bits
    times: NDArray[np.float64]


class Arrival(NamedTuple):
    """What came out of a fibre: a qubit, or None when it was lost on the way; and when."""

    qubit: int | None
    time: float


class Detection(NamedTuple):
    """What a receiver saw of a train of pulses: per pulse a click, and its bit (0 where there was none)."""

    clicked: Bits
    bits: Bits
    time: float


class DrawnTrain(NamedTuple):
    """A train whose settings the transmitter drew: its parts, as (id, pulses), and when the last pulse has left."""

    parts: tuple[tuple[int, int], ...]
    time: float


class TrainClicks(NamedTuple):
    """Where a receiver that draws its own bases saw clicks: the pulses' indices, sorted; basis and bit of each."""

    indices: NDArray[np.int64]
    bases: Bits
    bits: Bits
    time: float


class Settings(NamedTuple):
    """What a transmitter drew for some pulses: bits, bases (0 is Z, 1 is X) and indices of intensities."""

    bits: Bits
    bases: Bits
    intensities: Bits
