"""Taps on the fibre of a source of pairs: which photons meet them, and what is left of the pair by that.

Whoever measures a photon in a basis and sends on what was found, unread by others, leaves of its Bloch vector the
component along that basis. For a photon that is half of a maximally entangled pair this is a Pauli channel, and as
well one on the other half; so it may act on the heralded pair, whatever happened in between: loss, interference at a
station, dark counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import prod
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.config import FibreConfig, TapConfig
from shared_state.engine import pairs
from shared_state.engine.pairs import Side
from shared_state.world.fibre import transmission
from shared_state.world.taps import Encounter

Factors: TypeAlias = tuple[float, float, float]
Chances: TypeAlias = tuple[float, float]
"""Of the first and the second endpoint."""

_LEFT: Final[dict[str, Factors]] = {
    "Z": (0.0, 0.0, 1.0),
    "X": (1.0, 0.0, 0.0),
    "Y": (0.0, 1.0, 0.0),
    "random": (0.5, 0.0, 0.5),
}
"""What is left of <X>, <Y> and <Z> by a measurement; random is Z or X by coin."""


class Stop(NamedTuple):
    """A tap beside the arm of one end: its photon gets there with ``before``, and from there on with ``after``."""

    tap: TapConfig
    side: Side
    before: float
    after: float


def taken(tap: TapConfig) -> float:
    """Return the share of single photons that a tap measures or keeps."""
    return tap.blocking if tap.strategy == "photon-number-splitting" else tap.fraction


def passed(taps: Iterable[TapConfig]) -> float:
    """Return the probability that a single photon flies on from all of them, as it was or sent anew."""
    return prod(1.0 if tap.strategy == "intercept-resend" else 1 - taken(tap) for tap in taps)


def stops(fibre: FibreConfig, middle: float, taps: Sequence[TapConfig], *, outward: bool) -> list[Stop]:
    """Return where photons meet ``taps`` that fly ``outward`` from ``middle`` to the ends, or from the ends there.

    ``middle`` in metres from the first end. A tap right there meets the second end's photon.
    """
    sides: list[Side] = [0 if tap.position < middle or middle == fibre.length else 1 for tap in taps]
    places = [
        fibre.length - tap.position if side else tap.position for tap, side in zip(taps, sides, strict=True)
    ]
    found = []
    for number, (tap, side, place) in enumerate(zip(taps, sides, places, strict=True)):
        arm = fibre.length - middle if side else middle
        near = transmission(replace(fibre, length=place, insertion_loss_db=fibre.insertion_loss_db / 2))
        far = transmission(replace(fibre, length=arm - place, insertion_loss_db=0.0))
        for other, (its_side, its_place) in enumerate(zip(sides, places, strict=True)):
            if its_side == side and (its_place, other) < (place, number):
                near *= passed([taps[other]])
            elif its_side == side and other != number:
                far *= passed([taps[other]])
        found.append(Stop(tap, side, far, near) if outward else Stop(tap, side, near, far))
    return found


def met(
    found: Iterable[Stop],
    emitted: Chances,
    eta: Chances,
    last: Chances,
    success: Callable[[Side, Chances], float],
) -> tuple[Encounter, ...]:
    """Return how the taps meet an attempt's photons, which each end emits with ``emitted`` and detects with ``eta``.

    ``success(side, eta)`` is the probability of the attempt when the photon of this side has been emitted for certain;
    ``last``: what that photon's end loses of it behind the fibre.
    """
    encounters = []
    for tap, side, before, after in found:
        arriving, lost = list(eta), list(eta)
        arriving[side], lost[side] = after * last[side], 0.0
        resends = tap.strategy == "intercept-resend"
        by = success(side, (arriving[0], arriving[1]))
        away = by if resends else success(side, (lost[0], lost[1]))
        encounters.append(Encounter(emitted[side] * before, taken(tap), by, away, resends))
    return tuple(encounters)


def disturbed(
    state: NDArray[np.complex128], found: Iterable[Stop], *, of_number: bool = False
) -> NDArray[np.complex128]:
    """Return what the taps leave of a heralded pair, shape (4, 4).

    ``of_number``: its photons are no qubits of their own, but there or not there.
    """
    for tap, side, _, _ in found:
        left = _number_left(tap) if of_number else _left(tap)
        (state,) = pairs.to_density(pairs.shrink(pairs.from_density(state[np.newaxis]), side, left))
    return state


def _left(tap: TapConfig) -> Factors:
    if tap.strategy != "intercept-resend":
        return 1.0, 1.0, 1.0
    x, y, z = (1 - tap.fraction * (1 - left) for left in _LEFT[tap.basis])
    return x, y, z


def _number_left(tap: TapConfig) -> Factors:
    measured = {"intercept-resend": tap.fraction, "photon-number-splitting": 1.0, "beam-splitting": 0.0}
    coherence = 1 - measured[tap.strategy]
    return coherence, coherence, 1.0
