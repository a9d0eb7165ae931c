"""Quantum memory: what storing a qubit does to it."""

from __future__ import annotations

from shared_state.config import MemoryConfig
from shared_state.engine.aging import relaxation
from shared_state.engine.channels import Channel


def decoherence(memory: MemoryConfig, duration: float) -> Channel | None:
    """Return the channel of ``duration`` seconds of storage; None where nothing happens.

    Raises InvalidOperator (a ValueError) for a negative duration and for ``t2 > 2 t1``.
    """
    return relaxation(memory.t1, memory.t2, duration)
