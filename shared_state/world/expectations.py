"""What a link's devices do on average, before anything is sent."""

from __future__ import annotations

from math import exp

from shared_state.config import FibreConfig, MemoryConfig, PulseConfig
from shared_state.engine.bases import Basis
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity
from shared_state.world.fibre import detection_probability
from shared_state.world.memory import decoherence
from shared_state.world.schemes.scheme import Scheme


def click_probability(fibre: FibreConfig, pulses: PulseConfig, mean: float | None, basis: Basis) -> float:
    """Return the probability that a pulse of mean photon number ``mean`` clicks when measured in ``basis``.

    Q = 1 - (1-p_d)^2 e^(-mu eta) with eta = transmission times efficiency; a single photon (``mean`` None) is
    missed with 1 - eta in place of e^(-mu eta). Time-bin pulses measured in X lose half of their light. The receiver
    is taken to be never blind: dead time lowers the probability and after-pulses raise it.
    """
    eta = detection_probability(fibre, pulses.detectors)
    if pulses.encoding == "time-bin" and basis == "X":
        eta /= 2
    missed = 1 - eta if mean is None else exp(-mean * eta)
    return 1 - (1 - pulses.detectors.dark_count_probability) ** 2 * missed


def heralded_fidelity(scheme: Scheme, memories: tuple[MemoryConfig, MemoryConfig]) -> float:
    """Return the fidelity with Phi+ of a pair whose halves are used as soon as their ends know of them.

    Until then each half ages in its end's memory; where the photons are measured on arrival, not at all.
    """
    pair = JointState()
    pair.add(scheme.state, (0, 1))
    if scheme.memories:
        for half, memory in enumerate(memories):
            channel = decoherence(memory, scheme.heralded_after[half] - scheme.stored_after[half])
            if channel is not None:
                pair.apply_channel(channel, (half,))
    return fidelity(pair.reduced((0, 1)), bell_state(0, 0))
