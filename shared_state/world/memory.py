"""Quantum memory: what making and storing a qubit does to it."""

from __future__ import annotations

from functools import lru_cache
from math import exp, isinf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared_state.config import MemoryConfig
from shared_state.engine.aging import gaussian_dephasing
from shared_state.engine.channels import Channel
from shared_state.engine.errors import InvalidOperator

_REMEMBERED: Final = 64
"""In virtual time the same durations come again and again; in real time none does, and what is remembered of them for
long lies scattered over the heap, where each keeps a page from being given back."""


def initial_state(memory: MemoryConfig) -> NDArray[np.complex128]:
    """Return |0> as it is made here, with fidelity F: depolarised with p = 2(1-F), shape (2, 2)."""
    return np.diag([memory.initialisation_fidelity, 1 - memory.initialisation_fidelity]).astype(np.complex128)


def decoherence(memory: MemoryConfig, duration: float, age: float = 0.0, attempts: int = 0) -> Channel | None:
    """Return the channel of ``duration`` seconds of storage; None where nothing happens.

    ``age`` is how long the qubit had been stored before, and counts for Gaussian dephasing only; ``attempts`` is
    how many attempts at entanglement the node has made meanwhile. All processes act at the same time: with
    rates 1/T1 to |0> and 1/tau to I/2, <Z> goes exponentially to (1/T1) / (1/T1 + 1/tau), so that aging by s and then
    by t is aging by s + t. The channel is shared and read-only.

    Raises InvalidOperator (a ValueError) for a negative duration and for ``t2 > 2 t1``.
    """
    gaussian = memory.dephasing == "gaussian"
    return _channel(memory, duration, age if gaussian else 0.0, attempts if memory.attempt_dephasing else 0)


@lru_cache(maxsize=_REMEMBERED)
def _channel(memory: MemoryConfig, duration: float, age: float, attempts: int) -> Channel | None:
    if not 0 <= duration < float("inf"):
        raise InvalidOperator(f"a qubit ages by a finite time of 0 s or more, not by {duration} s.")
    t1, t2, tau = memory.t1, memory.t2, memory.depolarising_time
    if not (t1 > 0 and 0 < t2 <= 2 * t1):
        raise InvalidOperator(f"T1 and T2 must be positive with T2 <= 2 T1, not T1 = {t1} s and T2 = {t2} s.")
    if (duration == 0 or (isinf(t1) and isinf(t2) and isinf(tau))) and attempts == 0:
        return None
    gaussian = memory.dephasing == "gaussian"
    coherence = gaussian_dephasing(t2, age, age + duration) if gaussian else exp(-duration / t2)
    coherence *= exp(-duration / tau) * (1 - 2 * memory.attempt_dephasing) ** attempts
    rate = 1 / t1 + 1 / tau
    lasting = exp(-rate * duration)
    drawn = (1 / t1) / rate * (1 - lasting) if rate else 0.0
    channel = _of_bloch_vector(coherence, lasting, drawn)
    channel.setflags(write=False)
    return channel


def _of_bloch_vector(coherence: float, lasting: float, drawn: float) -> Channel:
    """Return the channel <X>, <Y> -> ``coherence`` times themselves, <Z> -> ``lasting`` <Z> + ``drawn``."""
    kept, flipped = (1 + lasting) / 2, (1 - lasting) / 2
    return np.array(
        [
            [kept + drawn / 2, 0, 0, flipped + drawn / 2],
            [0, coherence, 0, 0],
            [0, 0, coherence, 0],
            [flipped - drawn / 2, 0, 0, kept - drawn / 2],
        ],
        dtype=np.complex128,
    )
