"""A node's imperfect operations: noise after gates, and readout errors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from shared_state.config import GateConfig
from shared_state.engine.channels import Channel, depolarising, depolarising_each, two_qubit_depolarising
from shared_state.engine.joint_state import JointState


@lru_cache(maxsize=256)
def single_gate_noise(gates: GateConfig) -> Channel | None:
    """Return the noise after a one-qubit gate of entanglement fidelity F: depolarising with p = 4(1-F)/3.

    None where the gate is perfect.
    """
    if gates.single_fidelity == 1:
        return None
    return _shared(depolarising(4 * (1 - gates.single_fidelity) / 3))


@lru_cache(maxsize=256)
def two_gate_noise(gates: GateConfig) -> Channel | None:
    """Return the noise after a two-qubit gate: rho -> g U rho U^+ + (1-g) I/4 (Briegel et al. 1998).

    I/4 replaces the two qubits, the rest keeps its reduced state. None where the gate is perfect, and where the
    noise is not joint but on each qubit by itself.
    """
    if gates.two_fidelity == 1 or gates.two_qubit_noise == "each":
        return None
    return _shared(two_qubit_depolarising(1 - gates.two_fidelity))


@lru_cache(maxsize=256)
def each_gate_noise(gates: GateConfig) -> Channel | None:
    """Return what a two-qubit gate does to one of its qubits alone; None where it is perfect.

    ``each``: depolarising with p = 4(1 - sqrt F)/3, so that F = (1 - 3p/4)^2 for both. ``joint``: p = 1 - g, what
    remains of the joint noise when the other qubit is not looked at.
    """
    if gates.two_fidelity == 1:
        return None
    each = gates.two_qubit_noise == "each"
    return _shared(depolarising(depolarising_each(gates.two_fidelity) if each else 1 - gates.two_fidelity))


def add_gate_noise(state: JointState, gates: GateConfig, qubits: Sequence[int]) -> None:
    """Apply to ``qubits`` the noise that follows a gate on all of them.

    A unitary on k >= 3 qubits counts as one operation of quality g = ``two_fidelity``:
    rho -> g U rho U^+ + (1-g) I/2^k; or each of its qubits is depolarised as by a two-qubit gate.
    """
    if len(qubits) == 1:
        noise = single_gate_noise(gates)
    elif gates.two_qubit_noise == "each":
        for qubit in qubits:
            add_move_noise(state, gates, qubit)
        return
    elif len(qubits) == 2:
        noise = two_gate_noise(gates)
    else:
        noise = None
        if gates.two_fidelity < 1:
            state.depolarise(1 - gates.two_fidelity, qubits)
    if noise is not None:
        state.apply_channel(noise, qubits)


def add_move_noise(state: JointState, gates: GateConfig, qubit: int) -> None:
    """Apply the noise of a two-qubit gate to the one of its qubits that is of interest."""
    noise = each_gate_noise(gates)
    if noise is not None:
        state.apply_channel(noise, [qubit])


def gate_duration(gates: GateConfig, qubits: int) -> float:
    """Return how long a gate on so many qubits takes: one of several counts as a two-qubit gate."""
    return gates.single_duration if qubits == 1 else gates.two_duration


def readout(bit: int, gates: GateConfig, uniform: float) -> int:
    """Return the outcome as the detector reports it: flipped where ``uniform`` < its readout error."""
    return bit ^ (uniform < (gates.readout_error_1 if bit else gates.readout_error_0))


def _shared(channel: Channel) -> Channel:
    channel.setflags(write=False)  # it is handed to everyone who asks again
    return channel
