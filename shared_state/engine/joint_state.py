"""The joint state of all qubits, kept as a product of entangled clusters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared_state.engine import kernels
from shared_state.engine.bases import BELL_EFFECTS, EFFECTS, TRACE, Basis
from shared_state.engine.channels import Channel
from shared_state.engine.errors import ClusterTooLarge, InvalidOperator, InvalidState, UnknownQubit

ROUNDING: Final = 1e-12
"""A probability below this is a rounding error: such an outcome is never drawn."""


class _Cluster:
    """Qubits that may be entangled, the first one most significant, and their density matrix."""

    __slots__ = ("qubits", "rho")

    def __init__(self, qubits: list[int], rho: NDArray[np.complex128]) -> None:
        self.qubits = qubits
        self.rho = rho

    def positions(self, qubits: Sequence[int]) -> tuple[int, ...]:
        index = self.qubits.index
        return tuple([index(qubit) for qubit in qubits])


class JointState:
    """The density matrix of any number of qubits: rho = rho_1 (x) rho_2 (x) ..., one factor per cluster.

    Clusters merge when an operation acts on qubits of several; a qubit that is measured or discarded leaves
    its cluster. No other factorisation is searched for. Qubits are named by integers that the caller chooses.
    Wherever several are listed, the first is the most significant. Chance is an argument: a number drawn
    uniformly from [0, 1). An operation costs what its own cluster costs, however many others there are:
    16 * 4^n bytes for n qubits, and up to twice that beside them while it runs.

    Every method raises UnknownQubit for a qubit that is not there, and changes nothing when it raises.
    """

    def __init__(self, max_qubits: int = 12) -> None:
        self.max_qubits = max_qubits
        self._home: dict[int, _Cluster] = {}

    def __contains__(self, qubit: object) -> bool:
        return qubit in self._home

    def __len__(self) -> int:
        """Return the number of qubits."""
        return len(self._home)

    @property
    def clusters(self) -> int:
        """Count the clusters."""
        return len(set(map(id, self._home.values())))

    def cluster_of(self, qubit: int) -> tuple[int, ...]:
        """Return all qubits of the qubit's cluster, itself included."""
        return tuple(self._cluster(qubit).qubits)

    def add(self, rho: ArrayLike, qubits: Sequence[int]) -> None:
        """Add new qubits in the joint state ``rho``, of shape (2^n, 2^n), as one cluster.

        Raises InvalidState when the shape does not fit, the trace is not 1 or a qubit is there already, and
        ClusterTooLarge.
        """
        if len(qubits) > self.max_qubits:
            raise ClusterTooLarge(qubits, self.max_qubits)
        matrix = np.array(rho, dtype=np.complex128)
        size = 2 ** len(qubits)
        if not qubits or matrix.shape != (size, size):
            raise InvalidState(
                f"a density matrix of shape {matrix.shape} is not one of {len(qubits)} qubit(s)."
            )
        if not abs(matrix.trace() - 1) < 1e-9:
            raise InvalidState(f"a density matrix has trace 1, not {matrix.trace():.12g}.")
        if len(set(qubits)) < len(qubits) or any(qubit in self._home for qubit in qubits):
            raise InvalidState(f"the new qubits {list(qubits)} are not all new and different.")
        cluster = _Cluster(list(qubits), matrix)
        for qubit in qubits:
            self._home[qubit] = cluster

    def apply(self, unitary: NDArray[np.complex128], qubits: Sequence[int]) -> None:
        """Apply a unitary: rho -> U rho U^+.

        ``unitary`` has shape (2^k, 2^k) for the k ``qubits``; that it is unitary is the caller's business
        (``gates.check_unitary``). Raises InvalidOperator when it does not fit, and ClusterTooLarge.
        """
        cluster, at = self._gather(qubits, unitary, 2 ** len(qubits))
        cluster.rho = kernels.sandwich(cluster.rho, len(cluster.qubits), at, unitary)
        cluster.qubits = kernels.reordered(cluster.qubits, at)

    def apply_channel(self, channel: Channel, qubits: Sequence[int]) -> None:
        """Apply a channel of shape (4^k, 4^k) to k qubits. Raises InvalidOperator and ClusterTooLarge."""
        cluster, at = self._gather(qubits, channel, 4 ** len(qubits))
        cluster.rho = kernels.transform(cluster.rho, len(cluster.qubits), at, channel)
        cluster.qubits = kernels.reordered(cluster.qubits, at)

    def depolarise(self, p: float, qubits: Sequence[int]) -> None:
        """Depolarise k qubits together: rho -> (1-p) rho + p I/2^k (x) tr_k(rho).

        The same as ``apply_channel`` with a depolarising channel, but for any k. Raises ClusterTooLarge.
        """
        if not 0 <= p <= 1:
            raise InvalidOperator(f"p must lie in 0 .. 1 for a physical channel, and is {p}.")
        cluster, at = self._gather(qubits)
        cluster.rho = kernels.depolarised(cluster.rho, len(cluster.qubits), at, p)
        cluster.qubits = kernels.reordered(cluster.qubits, at)

    def measure(self, qubit: int, basis: Basis, uniform: float) -> int:
        """Measure a qubit and remove it; return 0 where ``uniform < P(0)`` and 1 otherwise.

        Outcome 0 is the +1 eigenstate of the basis' Pauli operator.
        """
        cluster, at = self._gather((qubit,))
        return self._collapse(cluster, at, EFFECTS[basis], uniform)

    def bell_measure(self, first: int, second: int, uniform: float) -> tuple[int, int]:
        """Measure two qubits in the Bell basis and remove them; return (x, z).

        The outcome (x, z) is the projection on (X^x Z^z (x) I) |Phi+>; ``uniform`` selects from the outcomes
        in the order 00, 01, 10, 11. Raises ClusterTooLarge when both qubits' clusters do not fit into one.
        """
        cluster, at = self._gather((first, second))
        outcome = self._collapse(cluster, at, BELL_EFFECTS, uniform)
        return outcome >> 1, outcome & 1

    def discard(self, qubit: int) -> None:
        """Remove a qubit unseen: rho -> tr_qubit(rho)."""
        cluster, at = self._gather((qubit,))
        (rest,) = kernels.contract(cluster.rho, len(cluster.qubits), at, TRACE)
        self._remove(cluster, at, rest)

    def reduced(self, qubits: Sequence[int]) -> NDArray[np.complex128]:
        """Return the reduced density matrix of ``qubits`` in that order, shape (2^k, 2^k); change nothing.

        Qubits of different clusters are in a product state. Raises ClusterTooLarge when the matrix would be
        larger than the largest cluster.
        """
        parts = self._clusters_of(qubits)
        if len(qubits) > self.max_qubits:
            raise ClusterTooLarge(qubits, self.max_qubits)
        labels: list[int] = []
        rho = np.ones((1, 1), dtype=np.complex128)
        for cluster in parts:
            wanted = [qubit for qubit in qubits if self._home[qubit] is cluster]
            at = cluster.positions(wanted)
            rho = kernels.tensor(rho, kernels.partial_trace(cluster.rho, len(cluster.qubits), at))
            labels += wanted
        return kernels.partial_trace(rho, len(labels), tuple(labels.index(qubit) for qubit in qubits))

    def _cluster(self, qubit: int) -> _Cluster:
        try:
            return self._home[qubit]
        except KeyError:
            raise UnknownQubit(qubit) from None

    def _clusters_of(self, qubits: Sequence[int]) -> list[_Cluster]:
        """Return the clusters of ``qubits``, each once."""
        if len(set(qubits)) < len(qubits):
            raise InvalidOperator(f"the qubits {list(qubits)} are not all different.")
        return list(dict.fromkeys(self._cluster(qubit) for qubit in qubits))

    def _gather(
        self, qubits: Sequence[int], operator: NDArray[np.complex128] | None = None, size: int = 0
    ) -> tuple[_Cluster, tuple[int, ...]]:
        """Make sure that the operator fits, bring all ``qubits`` into one cluster, and say where they are."""
        parts = self._clusters_of(qubits)
        if operator is not None and operator.shape != (size, size):
            raise InvalidOperator(
                f"an operator of shape {operator.shape} does not act on {len(qubits)} qubit(s)."
            )
        if not parts:
            raise InvalidOperator("an operation needs at least one qubit.")
        cluster = parts[0] if len(parts) == 1 else self._merge(parts)
        return cluster, cluster.positions(qubits)

    def _merge(self, parts: list[_Cluster]) -> _Cluster:
        together = [qubit for part in parts for qubit in part.qubits]
        if len(together) > self.max_qubits:
            raise ClusterTooLarge(together, self.max_qubits)
        merged = _Cluster(together, reduce(kernels.tensor, [part.rho for part in parts]))
        for qubit in together:
            self._home[qubit] = merged
        return merged

    def _collapse(
        self, cluster: _Cluster, at: tuple[int, ...], effects: NDArray[np.complex128], uniform: float
    ) -> int:
        branches = kernels.contract(cluster.rho, len(cluster.qubits), at, effects)
        weights = branches.trace(axis1=1, axis2=2).real.tolist()
        outcome = _draw(weights, uniform)
        self._remove(cluster, at, branches[outcome] / weights[outcome])
        return outcome

    def _remove(self, cluster: _Cluster, at: tuple[int, ...], rest: NDArray[np.complex128]) -> None:
        for qubit in [cluster.qubits[i] for i in at]:
            del self._home[qubit]
            cluster.qubits.remove(qubit)
        cluster.rho = rest


def _draw(weights: list[float], uniform: float) -> int:
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
