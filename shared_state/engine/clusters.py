"""Which qubit is in which cluster, and which clusters are being worked on."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from shared_state.engine.errors import ClusterBusy, ClusterTooLarge, InvalidOperator, UnknownQubit


class Cluster:
    """Qubits that may be entangled, the first one most significant, and their density matrix.

    The matrix is replaced, never written to: who holds it holds the state of a moment.
    """

    __slots__ = ("busy", "qubits", "rho")

    def __init__(self, qubits: list[int], rho: NDArray[np.complex128]) -> None:
        self.qubits = qubits
        self.rho = rho
        self.busy = False


class Claim:
    """A context in which some clusters belong to one operation; everybody else is refused."""

    __slots__ = ("labels", "parts")

    def __init__(self, parts: list[Cluster]) -> None:
        if not parts:
            raise InvalidOperator("an operation needs at least one qubit.")
        self.parts = parts
        self.labels = list(parts[0].qubits)
        for part in parts[1:]:
            self.labels += part.qubits

    def __enter__(self) -> Claim:
        for part in self.parts:
            part.busy = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in self.parts:
            part.busy = False

    def positions(self, qubits: Sequence[int]) -> tuple[int, ...]:
        """Return where the qubits are among the ``labels``, which are those of the parts in their order."""
        return tuple(map(self.labels.index, qubits))


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
        """Return the clusters of the qubits, each once. Raises InvalidOperator where a qubit is named twice."""
        if len(qubits) == 1:
            return [self.of(qubits[0])]
        if len(set(qubits)) < len(qubits):
            raise InvalidOperator(f"the qubits {list(qubits)} are not all different.")
        return list(dict.fromkeys([self.of(qubit) for qubit in qubits]))

    def idle(self, qubits: Sequence[int]) -> list[Cluster]:
        """Return the clusters of the qubits. Raises ClusterBusy where one of them is being worked on."""
        found = self.of_all(qubits)
        if any(cluster.busy for cluster in found):
            raise ClusterBusy(qubit for qubit in qubits if self.home[qubit].busy)
        return found

    def claim(self, qubits: Sequence[int]) -> Claim:
        """Return the clusters of the qubits, to be had for one operation that makes them one.

        Raises ClusterBusy, InvalidOperator where there is no qubit, and ClusterTooLarge.
        """
        claim = Claim(self.idle(qubits))
        if len(claim.labels) > self.max_qubits:
            raise ClusterTooLarge(claim.labels, self.max_qubits)
        return claim

    def enter(self, qubits: list[int], rho: NDArray[np.complex128]) -> None:
        """Make these qubits, new or old, one cluster."""
        cluster = Cluster(qubits, rho)
        for qubit in qubits:
            self.home[qubit] = cluster

    def replace(self, claim: Claim, rho: NDArray[np.complex128], leaving: tuple[int, ...] = ()) -> None:
        """Put one cluster in the place of the claimed ones: their qubits but those ``leaving``, in ``rho``."""
        for qubit in leaving:
            claim.labels.remove(qubit)
            del self.home[qubit]
        if len(claim.parts) > 1:
            self.enter(claim.labels, rho)
        else:
            claim.parts[0].qubits, claim.parts[0].rho = claim.labels, rho
