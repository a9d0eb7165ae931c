"""Which qubit is in which cluster."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared_state.engine.errors import ClusterTooLarge, InvalidOperator, UnknownQubit


class Cluster:
    """Qubits that may be entangled, the first one most significant, and their density matrix.

    The ``qubits`` are those of now; of a large cluster ``rho`` may be behind (see ``backlog``). The matrix is replaced,
    never written to: who holds it holds the state of a moment.
    """

    __slots__ = ("qubits", "rho")

    def __init__(self, qubits: list[int], rho: NDArray[np.complex128]) -> None:
        self.qubits = qubits
        self.rho = rho


class Clusters:
    """All clusters, found by their qubits."""

    def __init__(self, max_qubits: int) -> None:
        self.max_qubits = max_qubits
        self.home: dict[int, Cluster] = {}

    def of(self, qubit: int) -> Cluster:
        """Return the cluster of a qubit. Raises UnknownQubit."""
        try:
            return self.home[qubit]
        except KeyError:
            raise UnknownQubit(qubit) from None

    def of_all(self, qubits: Sequence[int]) -> list[Cluster]:
        """Return the clusters of the qubits, each once. Raises UnknownQubit, InvalidOperator for one named twice."""
        if len(qubits) == 1:
            return [self.of(qubits[0])]
        if len(set(qubits)) < len(qubits):
            raise InvalidOperator(f"the qubits {list(qubits)} are not all different.")
        return list(dict.fromkeys([self.of(qubit) for qubit in qubits]))

    def to_join(self, qubits: Sequence[int]) -> list[Cluster]:
        """Return the clusters of the qubits, which an operation joins.

        Raises InvalidOperator where there is no qubit, too, and ClusterTooLarge.
        """
        parts = self.of_all(qubits)
        if not parts:
            raise InvalidOperator("an operation needs at least one qubit.")
        if len(parts) > 1:
            labels = [qubit for part in parts for qubit in part.qubits]
            if len(labels) > self.max_qubits:
                raise ClusterTooLarge(labels, self.max_qubits)
        return parts

    def enter(self, qubits: list[int], rho: NDArray[np.complex128]) -> Cluster:
        """Make new qubits one cluster."""
        cluster = Cluster(qubits, rho)
        for qubit in qubits:
            self.home[qubit] = cluster
        return cluster

    def join(self, cluster: Cluster, other: Cluster) -> None:
        """Let the qubits of ``other`` follow those of ``cluster``."""
        for qubit in other.qubits:
            self.home[qubit] = cluster
        cluster.qubits += other.qubits
        other.qubits = []

    def remove(self, cluster: Cluster, qubits: Sequence[int]) -> None:
        """Let qubits be gone from their cluster."""
        for qubit in qubits:
            cluster.qubits.remove(qubit)
            del self.home[qubit]
