"""The two arms of a link: from its ends to the station or source between them."""

from __future__ import annotations

from typing import NamedTuple

from shared_state.config import FibreConfig
from shared_state.world.fibre import delay, transmission
from shared_state.world.taps import split


class Arms(NamedTuple):
    """The transmission and the delay in seconds of the first and the second endpoint's arm."""

    transmissions: tuple[float, float]
    delays: tuple[float, float]

    def detection(self, emission: tuple[float, float]) -> tuple[float, float]:
        """Return the probability per end that a photon is emitted, passes its arm and is detected."""
        return emission[0] * self.transmissions[0], emission[1] * self.transmissions[1]

    def meeting(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return when photons that meet at the station are emitted, and when its herald is back, per end.

        Counted from the earlier emission: the photon with the longer arm sets out first.
        """
        first, second = self.delays
        longer = max(first, second)
        return (longer - first, longer - second), (longer + first, longer + second)


def arms(fibre: FibreConfig, midpoint: float | None) -> Arms:
    """Cut a fibre ``midpoint`` metres from its first end, None in the middle; each arm has half the insertion loss.

    Raises ValueError for a midpoint off the fibre.
    """
    first, second = split(fibre, fibre.length / 2 if midpoint is None else midpoint)
    return Arms((transmission(first), transmission(second)), (delay(first), delay(second)))


def cycle(attempt_rate: float, heralded_after: tuple[float, float], *, multiplexed: bool) -> float:
    """Return the seconds between attempts: without ``multiplexed`` each waits for the herald before."""
    return 1 / attempt_rate if multiplexed else max(1 / attempt_rate, *heralded_after)
