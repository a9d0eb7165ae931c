"""The two arms of a link: from its ends to the station or source between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shared_state.config import FibreConfig, TapConfig
from shared_state.world.fibre import delay, transmission
from shared_state.world.schemes.tapped import Stop, passed, stops
from shared_state.world.taps import split


class Arms(NamedTuple):
    """The transmission and the delay in seconds of the first and the second endpoint's arm, and the taps on them."""

    transmissions: tuple[float, float]
    delays: tuple[float, float]
    stops: tuple[Stop, ...] = ()

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


def arms(
    fibre: FibreConfig, midpoint: float | None, taps: Sequence[TapConfig] = (), *, outward: bool = False
) -> Arms:
    """Cut a fibre ``midpoint`` metres from its first end, None in the middle; each arm has half the insertion loss.

    What ``taps`` keep is lost, too; photons fly ``outward`` to the ends, or from the ends to the midpoint. Raises
    ValueError for a midpoint off the fibre.
    """
    middle = fibre.length / 2 if midpoint is None else midpoint
    first, second = split(fibre, middle)
    found = tuple(stops(fibre, middle, taps, outward=outward))
    left = [passed(stop.tap for stop in found if stop.side == side) for side in (0, 1)]
    transmissions = transmission(first) * left[0], transmission(second) * left[1]
    return Arms(transmissions, (delay(first), delay(second)), found)


def cycle(attempt_rate: float, heralded_after: tuple[float, float], *, multiplexed: bool) -> float:
    """Return the seconds between attempts: without ``multiplexed`` each waits for the herald before."""
    return 1 / attempt_rate if multiplexed else max(1 / attempt_rate, *heralded_after)
