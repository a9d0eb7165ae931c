"""Heralded sources of entangled pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared_state.config import WernerSource
from shared_state.engine.measures import bell_state


def werner_state(fidelity: float) -> NDArray[np.complex128]:
    """Return w |Phi+><Phi+| + (1-w) I/4 with w = (4F-1)/3, shape (4, 4).

    Raises ValueError unless 0 <= F <= 1.
    """
    if not 0 <= fidelity <= 1:
        raise ValueError(f"the fidelity of a pair lies in 0 .. 1, and is {fidelity}.")
    w = (4 * fidelity - 1) / 3
    phi = bell_state(0, 0)
    return w * np.outer(phi, phi.conj()) + (1 - w) / 4 * np.eye(4)


def waiting_time(source: WernerSource, rng: np.random.Generator) -> float:
    """Draw the time in seconds until the source's next pair: exponential with mean 1 / rate."""
    return float(rng.exponential(1 / source.rate))
