"""What a source of pairs amounts to on its fibre: which state, how often, and when each end knows."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log1p
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.world.taps import Encounter

State: TypeAlias = NDArray[np.complex128]


class Draw(NamedTuple):
    """``attempts`` that each pair took and the ``times`` at which the successful ones began, shape (count,).

    Whole numbers as floats: the attempts of a rare pair do not fit into an int64. A Poisson process makes no
    attempts, so they are 0.
    """

    attempts: NDArray[np.float64]
    times: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trials:
    """Attempts every ``cycle`` seconds, each of which succeeds with ``probability`` > 0.

    Raises ValueError where no pair can ever be made.
    """

    probability: float
    cycle: float

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1 + 1e-12:
            raise ValueError(
                f"an attempt succeeds with probability {self.probability}, so no pair is ever made: "
                "give the source light that arrives, or dark counts."
            )

    @property
    def mean(self) -> float:
        """Return the mean time between pairs in seconds."""
        return self.cycle / self.probability

    def draw(self, count: int, start: float, rng: np.random.Generator) -> Draw:
        """Draw attempts from P(k) = p (1-p)^(k-1); the first attempt begins at ``start``."""
        # the integer part of an exponential time is geometric, however small p is
        rate = -log1p(-self.probability) if self.probability < 1 else inf
        attempts = np.maximum(np.ceil(rng.standard_exponential(count) / rate), 1.0)
        return Draw(attempts, start + (np.cumsum(attempts) - 1) * self.cycle)


@dataclass(frozen=True, slots=True)
class Poisson:
    """Pairs at random times, ``rate`` per second, each of which has come past all taps with ``probability``.

    Raises ValueError unless the rate is positive.
    """

    rate: float
    cycle: float = 0.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ValueError(f"a source of {self.rate} pairs per second never makes one: raise its rate.")

    @property
    def mean(self) -> float:
        """Return the mean time between pairs in seconds."""
        return 1 / self.rate

    def draw(self, count: int, start: float, rng: np.random.Generator) -> Draw:
        """Draw exponential gaps of mean 1 / rate; the first begins at ``start``."""
        return Draw(np.zeros(count), start + np.cumsum(rng.exponential(1 / self.rate, count)))


@dataclass(frozen=True, slots=True, eq=False)
class Scheme:
    """A source on its fibre, computed once.

    ``state``: shape (4, 4), of the heralded pair in the frame of Phi+, the first endpoint's qubit first.
    ``stored_after`` and ``heralded_after``: seconds from the beginning of the successful attempt until the first
    and the second end's memory holds its half, and until that end knows. ``memories`` false: the photons are
    measured on arrival. ``encounters``: how the taps that were given meet its photons, in their order.
    """

    state: State
    process: Trials | Poisson
    stored_after: tuple[float, float] = (0.0, 0.0)
    heralded_after: tuple[float, float] = (0.0, 0.0)
    memories: bool = True
    encounters: tuple[Encounter, ...] = ()

    def draw(self, count: int, start: float, rng: np.random.Generator) -> Draw:
        """Draw the next ``count`` pairs of a source that is free from ``start``.

        It is free again ``process.cycle`` after the last of the times.
        """
        return self.process.draw(count, start, rng)


def in_frame_of_phi(populations: NDArray[np.float64], coherence: float) -> tuple[State, float]:
    """Return the normalised state, and its weight, of an unnormalised pair that is heralded like Psi+.

    ``populations`` of 00, 01, 10, 11, shape (4,), and the ``coherence`` |01><10|. The pair is turned into the
    frame of Phi+ by X on the first half. Raises ValueError where the weight is 0.
    """
    weight = float(populations.sum())
    if not weight > 0:
        raise ValueError("no attempt ever succeeds: give the source light that arrives, or dark counts.")
    rho = np.diag(populations[[2, 3, 0, 1]]).astype(np.complex128)
    rho[0, 3] = rho[3, 0] = coherence
    return rho / weight, weight
