"""A memory ages what it stores, and an ideal one does not."""

from __future__ import annotations

from math import exp, inf

import numpy as np
import pytest

from shared_state.config import MemoryConfig
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity
from shared_state.world.memory import decoherence


@pytest.mark.parametrize("t2", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("duration", [1e-3, 0.1, 2.0])
def test_a_pair_in_two_dephasing_memories_decays_with_t2(t2: float, duration: float) -> None:
    state = JointState()
    state.add(np.outer(bell_state(0, 0), bell_state(0, 0)), [0, 1])
    for qubit in (0, 1):
        channel = decoherence(MemoryConfig(t1=inf, t2=t2), duration)
        assert channel is not None
        state.apply_channel(channel, [qubit])
    expected = (1 + exp(-2 * duration / t2)) / 2
    assert fidelity(state.reduced([0, 1]), bell_state(0, 0)) == pytest.approx(expected, abs=1e-12)


def test_an_ideal_memory_and_no_time_do_nothing() -> None:
    assert decoherence(MemoryConfig(), 1e6) is None
    assert decoherence(MemoryConfig(t1=1.0, t2=1.0), 0.0) is None


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="0 s or more"):
        decoherence(MemoryConfig(t1=1.0, t2=1.0), -1e-9)
