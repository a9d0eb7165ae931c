"""The joint state of all qubits, kept as a product of entangled clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared_state.engine.bases import Basis
from shared_state.engine.channels import Channel
from shared_state.engine.clusters import Clusters
from shared_state.engine.errors import ClusterTooLarge, InvalidState
from shared_state.engine.slices import finish
from shared_state.engine.stepwise import Stepwise

SLICED_FROM: Final = 4**10
"""The cost from which an operation had better be done in slices: 5 to 20 ms, 16 times as much at 12 qubits."""


class JointState:
    """The density matrix of any number of qubits: rho = rho_1 (x) rho_2 (x) ..., one factor per cluster.

    Clusters merge when an operation acts on qubits of several; a qubit that is measured or discarded leaves
    its cluster. No other factorisation is searched for. Qubits are named by integers that the caller chooses.
    Wherever several are listed, the first is the most significant. Chance is an argument: a number drawn
    uniformly from [0, 1). An operation costs what its own cluster costs, however many others there are:
    16 * 4^n bytes for n qubits, and up to twice that beside them while it runs.

    Every operation exists twice: ``state.apply(...)`` does it at once, ``state.steps.apply(...)`` returns a generator
    that does it in slices of a few milliseconds, for clusters of which ``cost`` says that they are large.

    Every method raises UnknownQubit for a qubit that is not there and ClusterBusy for one whose cluster is in the
    middle of an operation in slices, and changes nothing when it raises.
    """

    def __init__(self, max_qubits: int = 12) -> None:
        self.max_qubits = max_qubits
        self._clusters = Clusters(max_qubits)
        self.steps: Final = Stepwise(self._clusters)

    def __contains__(self, qubit: object) -> bool:
        return qubit in self._clusters.home

    def __len__(self) -> int:
        """Return the number of qubits."""
        return len(self._clusters.home)

    @property
    def clusters(self) -> int:
        """Count the clusters."""
        return len(set(map(id, self._clusters.home.values())))

    def cluster_of(self, qubit: int) -> tuple[int, ...]:
        """Return all qubits of the qubit's cluster, itself included."""
        return tuple(self._clusters.of(qubit).qubits)

    def cost(self, qubits: Sequence[int]) -> int:
        """Return the number of matrix elements that an operation on these qubits has to work through.

        4^n for the n qubits of all their clusters, which it joins. See SLICED_FROM.
        """
        size: int = 4 ** sum(len(cluster.qubits) for cluster in self._clusters.of_all(qubits))
        return size

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
        if len(set(qubits)) < len(qubits) or any(qubit in self._clusters.home for qubit in qubits):
            raise InvalidState(f"the new qubits {list(qubits)} are not all new and different.")
        self._clusters.enter(list(qubits), matrix)

    def apply(self, unitary: NDArray[np.complex128], qubits: Sequence[int]) -> None:
        """Apply a unitary: rho -> U rho U^+.

        ``unitary`` has shape (2^k, 2^k) for the k ``qubits``; that it is unitary is the caller's business
        (``gates.check_unitary``). Raises InvalidOperator when it does not fit, and ClusterTooLarge.
        """
        finish(self.steps.apply(unitary, qubits))

    def apply_channel(self, channel: Channel, qubits: Sequence[int]) -> None:
        """Apply a channel of shape (4^k, 4^k) to k qubits. Raises InvalidOperator and ClusterTooLarge."""
        finish(self.steps.apply_channel(channel, qubits))

    def depolarise(self, p: float, qubits: Sequence[int]) -> None:
        """Depolarise k qubits together: rho -> (1-p) rho + p I/2^k (x) tr_k(rho).

        The same as ``apply_channel`` with a depolarising channel, but for any k. Raises ClusterTooLarge.
        """
        finish(self.steps.depolarise(p, qubits))

    def measure(self, qubit: int, basis: Basis, uniform: float) -> int:
        """Measure a qubit and remove it; return 0 where ``uniform < P(0)`` and 1 otherwise.

        Outcome 0 is the +1 eigenstate of the basis' Pauli operator.
        """
        return finish(self.steps.measure(qubit, basis, uniform))

    def bell_measure(self, first: int, second: int, uniform: float) -> tuple[int, int]:
        """Measure two qubits in the Bell basis and remove them; return (x, z).

        The outcome (x, z) is the projection on (X^x Z^z (x) I) |Phi+>; ``uniform`` selects from the outcomes
        in the order 00, 01, 10, 11. Raises ClusterTooLarge when both qubits' clusters do not fit into one.
        """
        return finish(self.steps.bell_measure(first, second, uniform))

    def discard(self, qubit: int) -> None:
        """Remove a qubit unseen: rho -> tr_qubit(rho)."""
        finish(self.steps.discard(qubit))

    def reduced(self, qubits: Sequence[int]) -> NDArray[np.complex128]:
        """Return the reduced density matrix of ``qubits`` in that order, shape (2^k, 2^k); change nothing.

        Qubits of different clusters are in a product state. Raises ClusterTooLarge when the matrix would be
        larger than the largest cluster.
        """
        return finish(self.steps.reduced(qubits))
