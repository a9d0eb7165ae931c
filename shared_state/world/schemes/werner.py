"""Werner pairs, and the abstract source that delivers them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared_state.config import TapConfig, WernerSource
from shared_state.engine.measures import bell_state
from shared_state.world.schemes.scheme import Poisson, Scheme, State
from shared_state.world.schemes.tapped import Stop, disturbed, met, passed


def werner_state(fidelity: float) -> State:
    """Return w |Phi+><Phi+| + (1-w) I/4 with w = (4F-1)/3, shape (4, 4).

    Raises ValueError unless 0 <= F <= 1.
    """
    if not 0 <= fidelity <= 1:
        raise ValueError(f"the fidelity of a pair lies in 0 .. 1, and is {fidelity}.")
    w = (4 * fidelity - 1) / 3
    phi = bell_state(0, 0)
    return w * np.outer(phi, phi.conj()) + (1 - w) / 4 * np.eye(4)


def werner(source: WernerSource, taps: Sequence[TapConfig] = ()) -> Scheme:
    """Return the Poisson process of an abstract source: the herald comes with the pair.

    One photon of every pair comes by all taps, and what they let pass of the source's rate is delivered; which makes
    no difference to a Werner pair. Raises ValueError where no pair is delivered.
    """
    stops = [
        Stop(tap, 1, passed(taps[:number]), passed(taps[number + 1 :])) for number, tap in enumerate(taps)
    ]
    encounters = met(stops, (1.0, 1.0), (1.0, 1.0), (1.0, 1.0), lambda _, eta: eta[1])
    process = Poisson(source.rate * passed(taps), probability=passed(taps))
    return Scheme(disturbed(werner_state(source.fidelity), stops), process, encounters=encounters)
