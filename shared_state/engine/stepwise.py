"""The operations on the joint state, each in slices: long ones let others have their turn in between.

An operation does nothing before its first ``next`` and checks its arguments there; its effect takes place, whole, at
the end. Until then its clusters are busy, and whatever else names one of their qubits raises ClusterBusy. Closing
an unfinished operation leaves the state as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.engine import kernels
from shared_state.engine.bases import BELL_EFFECTS, EFFECTS, ROUNDING, TRACE, Basis
from shared_state.engine.channels import Channel
from shared_state.engine.clusters import Claim, Clusters
from shared_state.engine.errors import ClusterTooLarge, InvalidOperator
from shared_state.engine.slices import Steps

Rho: TypeAlias = NDArray[np.complex128]


class Stepwise:
    """The operations of JointState, each as its ``Steps``."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters

    def apply(self, unitary: Rho, qubits: Sequence[int]) -> Steps[None]:
        """See JointState.apply."""
        matrix = _fitting(unitary, 2, qubits)
        with self._clusters.claim(qubits) as claim:
            rho = yield from _state(claim)
            rho = yield from kernels.sandwich(rho, len(claim.labels), claim.positions(qubits), matrix)
        self._clusters.replace(claim, rho)

    def apply_channel(self, channel: Channel, qubits: Sequence[int]) -> Steps[None]:
        """See JointState.apply_channel."""
        matrix = _fitting(channel, 4, qubits)
        with self._clusters.claim(qubits) as claim:
            rho = yield from _state(claim)
            rho = yield from kernels.transform(rho, len(claim.labels), claim.positions(qubits), matrix)
        self._clusters.replace(claim, rho)

    def depolarise(self, p: float, qubits: Sequence[int]) -> Steps[None]:
        """See JointState.depolarise."""
        if not 0 <= p <= 1:
            raise InvalidOperator(f"p must lie in 0 .. 1 for a physical channel, and is {p}.")
        with self._clusters.claim(qubits) as claim:
            rho = yield from _state(claim)
            rho = yield from kernels.depolarised(rho, len(claim.labels), claim.positions(qubits), p)
        self._clusters.replace(claim, rho)

    def measure(self, qubit: int, basis: Basis, uniform: float) -> Steps[int]:
        """See JointState.measure."""
        return (yield from self._project((qubit,), EFFECTS[basis], uniform))

    def bell_measure(self, first: int, second: int, uniform: float) -> Steps[tuple[int, int]]:
        """See JointState.bell_measure."""
        outcome = yield from self._project((first, second), BELL_EFFECTS, uniform)
        return outcome >> 1, outcome & 1

    def discard(self, qubit: int) -> Steps[None]:
        """See JointState.discard."""
        with self._clusters.claim((qubit,)) as claim:
            rho = yield from _state(claim)
            rest = yield from kernels.contract(rho, len(claim.labels), claim.positions((qubit,)), TRACE[0])
        self._clusters.replace(claim, rest, leaving=(qubit,))

    def reduced(self, qubits: Sequence[int]) -> Steps[Rho]:
        """See JointState.reduced. What happens to the qubits meanwhile does not show."""
        limit = self._clusters.max_qubits
        parts = [(tuple(cluster.qubits), cluster.rho) for cluster in self._clusters.idle(qubits)]
        if len(qubits) > limit:
            raise ClusterTooLarge(qubits, limit)
        labels: list[int] = []
        rho = np.ones((1, 1), dtype=np.complex128)
        for members, matrix in parts:
            wanted = [qubit for qubit in qubits if qubit in members]
            part = yield from kernels.partial_trace(matrix, len(members), _positions(members, wanted))
            rho = (yield from kernels.tensor(rho, part)) if labels else part
            labels += wanted
        if labels == list(qubits):
            return rho
        return (yield from kernels.partial_trace(rho, len(labels), _positions(labels, qubits)))

    def _project(self, qubits: tuple[int, ...], effects: Rho, uniform: float) -> Steps[int]:
        with self._clusters.claim(qubits) as claim:
            rho = yield from _state(claim)
            n, at = len(claim.labels), claim.positions(qubits)
            outcome, rest = yield from kernels.project(rho, n, at, effects, partial(_draw, uniform))
        self._clusters.replace(claim, rest, leaving=qubits)
        return outcome


def _state(claim: Claim) -> Steps[Rho]:
    """Return the common state of all that is claimed."""
    rho = claim.parts[0].rho
    for part in claim.parts[1:]:
        rho = yield from kernels.tensor(rho, part.rho)
    return rho


def _fitting(operator: Rho, base: int, qubits: Sequence[int]) -> Rho:
    matrix = np.asarray(operator, dtype=np.complex128)
    size = base ** len(qubits)
    if matrix.shape != (size, size):
        raise InvalidOperator(f"an operator of shape {matrix.shape} does not act on {len(qubits)} qubit(s).")
    return matrix


def _positions(labels: Sequence[int], qubits: Sequence[int]) -> tuple[int, ...]:
    return tuple([labels.index(qubit) for qubit in qubits])


def _draw(uniform: float, weights: list[float]) -> int:
    """Choose an outcome with its weight: the first one whose cumulative share exceeds ``uniform``."""
    total = sum(weights)
    threshold = uniform * total
    chosen = 0
    cumulative = 0.0
    for outcome, weight in enumerate(weights):
        if weight < ROUNDING * total:
            continue
        chosen = outcome
        cumulative += weight
        if threshold < cumulative:
            break
    return chosen
