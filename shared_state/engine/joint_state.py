"""The joint state of all qubits, kept as a product of entangled clusters."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared_state.engine import kernels
from shared_state.engine.backlog import Account, Backlog, Rho, Stage
from shared_state.engine.bases import BELL_EFFECTS, EFFECTS, TRACE, Basis
from shared_state.engine.channels import Channel
from shared_state.engine.clusters import Cluster, Clusters
from shared_state.engine.errors import ClusterTooLarge, InvalidOperator, InvalidState
from shared_state.engine.later import Later
from shared_state.engine.slices import finish
from shared_state.engine.stages import Look, joining, preparing, projecting

T = TypeVar("T")

LATE_FROM: Final = 10
"""The qubits of a cluster from which work on it is done later: an operation takes 5 ms at 10, 1 s at 12."""

AT_ONCE: Final = 2**20
"""The matrix elements that one request may have worked through at once: four passes over a cluster of 9 qubits."""


class JointState:
    """The density matrix of any number of qubits: rho = rho_1 (x) rho_2 (x) ..., one factor per cluster.

    Clusters merge when an operation acts on qubits of several; a qubit that is measured or discarded leaves
    its cluster. No other factorisation is searched for. Qubits are named by integers that the caller chooses.
    Wherever several are listed, the first is the most significant. Chance is an argument: a number drawn
    uniformly from [0, 1). An operation costs what its own cluster costs, however many others there are:
    16 * 4^n bytes for n qubits, and up to twice that beside them while it runs.

    Which qubits there are, and in which clusters, is always up to date. The matrix of a large cluster may be behind:
    operations on it become its backlog, which ``work`` does in slices of a few milliseconds, with the same result to
    the last bit. What it will show is ``Later``; ``measure``, ``bell_measure`` and ``reduced`` work until it is known.

    Every method raises UnknownQubit for a qubit that is not there. What raises does so at once and changes nothing.
    """

    def __init__(self, max_qubits: int = 12) -> None:
        self.max_qubits = max_qubits
        self._clusters = Clusters(max_qubits)
        self._backlog = Backlog()
        self._large = set[Cluster]()
        self._at_once: float = inf

    def __contains__(self, qubit: object) -> bool:
        return qubit in self._clusters.home

    def __len__(self) -> int:
        """Return the number of qubits."""
        return len(self._clusters.home)

    @property
    def clusters(self) -> int:
        """Count the clusters."""
        return len(set(map(id, self._clusters.home.values())))

    @property
    def backlog(self) -> int:
        """Count the clusters on which there is work to do."""
        return len(self._backlog)

    @property
    def has_large_clusters(self) -> bool:
        """Tell whether a cluster has LATE_FROM or more qubits, so that its matrix takes 16 MiB or more."""
        return any(len(cluster.qubits) >= LATE_FROM for cluster in self._large)

    def cluster_of(self, qubit: int) -> tuple[int, ...]:
        """Return all qubits of the qubit's cluster, itself included."""
        return tuple(self._clusters.of(qubit).qubits)

    def work(self) -> None:
        """Do one slice of the backlog, which there must be. Its clusters take turns."""
        self._backlog.work()

    def work_off(self) -> None:
        """Do all of the backlog."""
        while self._backlog:
            self._backlog.work()

    def charge(self, account: Account) -> None:
        """Begin a request: count what it leaves to do on this account, and let little of it be done AT_ONCE."""
        self._backlog.account = account
        self._at_once = AT_ONCE

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
        matrix = _fitting(unitary, 2, qubits)
        cluster, n, at = self._joined(qubits)
        # k qubits take 2^k multiplications per element
        late = 2 * n + len(at) - 3 >= 2 * LATE_FROM
        self._do(cluster, lambda rho: kernels.sandwich(rho, n, at, matrix), late=late or n >= LATE_FROM)

    def apply_channel(self, channel: Channel, qubits: Sequence[int]) -> None:
        """Apply a channel of shape (4^k, 4^k) to k qubits. Raises InvalidOperator and ClusterTooLarge."""
        matrix = _fitting(channel, 4, qubits)
        cluster, n, at = self._joined(qubits)
        self._do(cluster, lambda rho: kernels.transform(rho, n, at, matrix), late=n >= LATE_FROM)

    def depolarise(self, p: float, qubits: Sequence[int]) -> None:
        """Depolarise k qubits together: rho -> (1-p) rho + p I/2^k (x) tr_k(rho).

        The same as ``apply_channel`` with a depolarising channel, but for any k. Raises InvalidOperator and
        ClusterTooLarge.
        """
        if not 0 <= p <= 1:
            raise InvalidOperator(f"p must lie in 0 .. 1 for a physical channel, and is {p}.")
        cluster, n, at = self._joined(qubits)
        self._do(cluster, lambda rho: kernels.depolarised(rho, n, at, p), late=n >= LATE_FROM)

    def measure(self, qubit: int, basis: Basis, uniform: float) -> int:
        """Measure a qubit and remove it; return 0 where ``uniform < P(0)`` and 1 otherwise.

        Outcome 0 is the +1 eigenstate of the basis' Pauli operator.
        """
        outcome = self.measure_later(qubit, basis, uniform)
        self._work_until(outcome)
        return outcome.value

    def measure_later(self, qubit: int, basis: Basis, uniform: float) -> Later[int]:
        """Measure like ``measure``; the outcome is known when the work is done."""
        return self._project((qubit,), EFFECTS[basis], uniform)

    def bell_measure(self, first: int, second: int, uniform: float) -> tuple[int, int]:
        """Measure two qubits in the Bell basis and remove them; return (x, z).

        The outcome (x, z) is the projection on (X^x Z^z (x) I) |Phi+>; ``uniform`` selects from the outcomes
        in the order 00, 01, 10, 11. Raises ClusterTooLarge when both qubits' clusters do not fit into one.
        """
        outcome = self.bell_measure_later(first, second, uniform)
        self._work_until(outcome)
        return outcome.value

    def bell_measure_later(self, first: int, second: int, uniform: float) -> Later[tuple[int, int]]:
        """Measure like ``bell_measure``; the outcome is known when the work is done."""
        outcome = self._project((first, second), BELL_EFFECTS, uniform)
        return outcome.map(lambda code: (code >> 1, code & 1))

    def measure_and_prepare(self, qubit: int, basis: Basis, uniform: float) -> Later[int]:
        """Measure a qubit and put the eigenstate that was found in its place, under its name, entangled no longer."""
        outcome = self._project((qubit,), EFFECTS[basis], uniform)
        cluster = self._clusters.enter([qubit], TRACE.reshape(2, 2) / 2)
        # the effect of an outcome is the row-major vector of its projector's conjugate
        states = EFFECTS[basis].conj().reshape(2, 2, 2)
        self._do(cluster, preparing(states, outcome), late=not outcome.known)
        return outcome

    def discard(self, qubit: int) -> None:
        """Remove a qubit unseen: rho -> tr_qubit(rho)."""
        cluster, n, at = self._joined((qubit,))
        self._clusters.remove(cluster, (qubit,))
        self._do(cluster, lambda rho: kernels.contract(rho, n, at, TRACE[0]), late=n >= LATE_FROM)

    def reduced(self, qubits: Sequence[int]) -> NDArray[np.complex128]:
        """Return the reduced density matrix of ``qubits`` in that order, shape (2^k, 2^k); change nothing.

        Qubits of different clusters are in a product state. Raises ClusterTooLarge when the matrix would be
        larger than the largest cluster.
        """
        rho = self.reduced_later(qubits)
        self._work_until(rho)
        return rho.value

    def reduced_later(self, qubits: Sequence[int]) -> Later[Rho]:
        """Look at the state of this moment, like ``reduced``; it is known when the work is done."""
        clusters = self._clusters.of_all(qubits)
        if len(qubits) > self.max_qubits:
            raise ClusterTooLarge(qubits, self.max_qubits)
        if not clusters:
            return Later.at_once(np.ones((1, 1), dtype=np.complex128))
        look = Look(qubits, clusters)
        late = max(len(qubits), *[len(cluster.qubits) for cluster in clusters]) >= LATE_FROM
        for number, cluster in enumerate(clusters):
            self._do(cluster, look.stage(number), late=late)
        return look.rho

    def _joined(self, qubits: Sequence[int]) -> tuple[Cluster, int, tuple[int, ...]]:
        """Return the one cluster of the qubits, how many it has in all, and where these are among them."""
        if len(qubits) == 1:
            cluster = self._clusters.of(qubits[0])
            return cluster, len(cluster.qubits), (cluster.qubits.index(qubits[0]),)
        cluster, *others = self._clusters.to_join(qubits)
        for other in others:
            self._clusters.join(cluster, other)
            if len(cluster.qubits) >= LATE_FROM:
                self._large = {each for each in (*self._large, cluster) if len(each.qubits) >= LATE_FROM}
            late = other in self._backlog or len(cluster.qubits) >= LATE_FROM
            self._do(cluster, joining(self._backlog, other), late=late)
        return cluster, len(cluster.qubits), tuple(map(cluster.qubits.index, qubits))

    def _project(self, qubits: tuple[int, ...], effects: Rho, uniform: float) -> Later[int]:
        cluster, n, at = self._joined(qubits)
        self._clusters.remove(cluster, qubits)
        outcome: Later[int] = Later()
        self._do(cluster, projecting(n, at, effects, uniform, outcome), late=n >= LATE_FROM)
        return outcome

    def _do(self, cluster: Cluster, stage: Stage, *, late: bool) -> None:
        """Let a stage follow what the cluster owes; one that owes nothing and need not be late does it at once."""
        self._at_once -= cluster.rho.size
        if late or cluster in self._backlog or self._at_once < 0:
            self._backlog.append(cluster, stage)
        else:
            cluster.rho = finish(stage(cluster.rho))

    def _work_until(self, later: Later[T]) -> None:
        while not later.known:
            self._backlog.work()


def _fitting(operator: Rho, base: int, qubits: Sequence[int]) -> Rho:
    matrix = np.asarray(operator, dtype=np.complex128)
    size = base ** len(qubits)
    if matrix.shape != (size, size):
        raise InvalidOperator(f"an operator of shape {matrix.shape} does not act on {len(qubits)} qubit(s).")
    return matrix
