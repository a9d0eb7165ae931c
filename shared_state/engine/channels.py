"""Noise channels, as superoperators.

A channel on k qubits is a matrix of shape (4^k, 4^k) that acts on the row-major vector of the density matrix;
with Kraus operators K it is the sum of K (x) conj(K). ``second @ first`` does ``first``, then ``second``.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.engine import gates
from shared_state.engine.errors import InvalidOperator

Channel: TypeAlias = NDArray[np.complex128]


def from_kraus(operators: Iterable[NDArray[np.complex128]]) -> Channel:
    """Return the channel rho -> sum K rho K^+."""
    channel: Channel = np.array([np.kron(k, k.conj()) for k in operators], dtype=np.complex128).sum(axis=0)
    return channel


def depolarising(p: float) -> Channel:
    """Return rho -> (1-p) rho + p I/2 on one qubit.

    Each Pauli error has probability p/4. One half of a Bell pair keeps fidelity 1 - 3p/4; a gate of
    entanglement fidelity F has p = 4(1-F)/3. Completely positive for 0 <= p <= 4/3.
    """
    return depolarising_together(1, p)


def two_qubit_depolarising(p: float) -> Channel:
    """Return rho -> (1-p) rho + p I/4 on two qubits together. Completely positive for 0 <= p <= 16/15."""
    return depolarising_together(2, p)


def amplitude_damping(gamma: float) -> Channel:
    """Return the decay of |1> to |0> with probability ``gamma``."""
    _check_probability("gamma", gamma)
    return from_kraus(
        [
            np.array([[1, 0], [0, sqrt(1 - gamma)]], dtype=np.complex128),
            np.array([[0, sqrt(gamma)], [0, 0]], dtype=np.complex128),
        ]
    )


def dephasing(p: float) -> Channel:
    """Return rho -> (1-p) rho + p Z rho Z: coherences shrink to (1-2p) of themselves."""
    _check_probability("p", p)
    return from_kraus([sqrt(1 - p) * np.eye(2, dtype=np.complex128), sqrt(p) * gates.Z])


def dephasing_factor(factor: float) -> Channel:
    """Return the multiplication of the coherences by ``factor`` in 0 .. 1.

    One dephasing by p has the factor 1 - 2p, k of them (1 - 2p)^k.
    """
    _check_probability("the coherence factor", factor)
    return np.diag([1, factor, factor, 1]).astype(np.complex128)


def depolarising_each(fidelity: float) -> float:
    """Return the p of ``depolarising`` on EACH of two qubits whose gate has this fidelity: p = 4 (1 - sqrt F) / 3.

    F = (1 - 3p/4)^2 is the probability that neither qubit has an error. Raises InvalidOperator unless F is 0 .. 1.
    """
    _check_probability("the fidelity", fidelity)
    return 4 * (1 - sqrt(fidelity)) / 3


def depolarising_together(qubits: int, p: float) -> Channel:
    """Return rho -> (1-p) rho + p I/2^k on k qubits. Completely positive for 0 <= p <= 4^k / (4^k - 1)."""
    _check_probability("p", p, 4**qubits / (4**qubits - 1))
    identity = np.eye(2**qubits, dtype=np.complex128).ravel()
    replaced: Channel = np.outer(identity, identity) / 2**qubits
    return (1 - p) * np.eye(4**qubits) + p * replaced


def _check_probability(name: str, value: float, highest: float = 1.0) -> None:
    if not 0 <= value <= highest:
        raise InvalidOperator(
            f"{name} must lie in 0 .. {highest:.6g} for a physical channel, and is {value}."
        )
