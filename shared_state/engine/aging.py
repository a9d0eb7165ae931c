"""What time does to a stored qubit."""

from __future__ import annotations

from math import exp, expm1, isinf

import numpy as np

from shared_state.engine.channels import Channel
from shared_state.engine.errors import InvalidOperator


def relaxation(t1: float, t2: float, duration: float) -> Channel | None:
    """Return the T1/T2 channel of one qubit for ``duration``; None where nothing happens.

    Amplitude damping with gamma = 1 - e^(-t/T1), then dephasing with p = (1 - e^(-t/T2) e^(t/2T1)) / 2, which
    together take the population of |1> to e^(-t/T1) and the coherence to e^(-t/T2) of itself: the solution of
    the Lindblad equation. A semigroup: aging by s and then by t is aging by s + t, so it may be applied late.

    All times in seconds; infinite ``t1`` and ``t2`` are ideal. Raises InvalidOperator for a negative or
    infinite duration and for ``t2 > 2 t1``, which no memory has.
    """
    if not 0 <= duration < float("inf"):
        raise InvalidOperator(f"a qubit ages by a finite time of 0 s or more, not by {duration} s.")
    if not (t1 > 0 and 0 < t2 <= 2 * t1):
        raise InvalidOperator(f"T1 and T2 must be positive with T2 <= 2 T1, not T1 = {t1} s and T2 = {t2} s.")
    if duration == 0 or (isinf(t1) and isinf(t2)):
        return None
    decayed = -expm1(-duration / t1)
    coherence = exp(-duration / t2)
    return np.array(
        [
            [1, 0, 0, decayed],
            [0, coherence, 0, 0],
            [0, 0, coherence, 0],
            [0, 0, 0, 1 - decayed],
        ],
        dtype=np.complex128,
    )


def gaussian_dephasing(t2: float, start: float, stop: float) -> float:
    """Return the factor of the coherence between the storage ages ``start`` and ``stop``, in seconds.

    Slow noise takes the coherence to e^(-(t/T2)^2) after t: no semigroup in the duration, so the age counts;
    the factors of consecutive stretches multiply to that of the whole. Raises InvalidOperator for ages that run
    backwards.
    """
    if not 0 <= start <= stop < float("inf"):
        raise InvalidOperator(f"a qubit ages from 0 s or more onwards, not from {start} s to {stop} s.")
    return exp(-(stop - start) * (stop + start) / t2**2)
