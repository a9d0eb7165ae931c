"""What is done to a cluster's matrix, as stages: at once where that is quick, bit by bit where it is not.

``n`` qubits have the matrix when the stage begins, and ``at`` are positions among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from shared_state.engine import kernels
from shared_state.engine.backlog import Backlog, Rho, Stage
from shared_state.engine.bases import ROUNDING
from shared_state.engine.clusters import Cluster
from shared_state.engine.later import Later
from shared_state.engine.slices import Steps


def joining(backlog: Backlog, other: Cluster) -> Stage:
    """Return rho -> rho (x) the state of ``other``, as soon as that is worked off."""

    def stage(rho: Rho) -> Steps[Rho]:
        theirs = yield from backlog.settled(other)
        return (yield from kernels.tensor(rho, theirs))

    return stage


def projecting(n: int, at: tuple[int, ...], effects: Rho, uniform: float, outcome: Later[int]) -> Stage:
    """Return the measurement whose ``uniform`` draw decides the outcome; what is left is the others' state."""

    def stage(rho: Rho) -> Steps[Rho]:
        found, rest = yield from kernels.project(rho, n, at, effects, partial(_draw, uniform))
        outcome.become(found)
        return rest

    return stage


def preparing(states: Rho, outcome: Later[int]) -> Stage:
    """Return the preparation of ``states[outcome]``, whatever was there, as soon as the outcome is known."""

    def stage(_: Rho) -> Steps[Rho]:
        while not outcome.known:
            yield
        prepared: Rho = states[outcome.value]
        return prepared

    return stage


class Look:
    """The reduced state of ``qubits`` of several clusters: each shows its part in its own time, the last one all."""

    def __init__(self, qubits: Sequence[int], clusters: Sequence[Cluster]) -> None:
        self.rho: Later[Rho] = Later()
        self._qubits = list(qubits)
        members = [list(cluster.qubits) for cluster in clusters]
        self._wanted = [[qubit for qubit in qubits if qubit in own] for own in members]
        self._members = members
        self._parts: dict[int, Rho] = {}

    def stage(self, number: int) -> Stage:
        """Return the stage in which cluster ``number`` shows its part; its state stays what it is."""

        def stage(rho: Rho) -> Steps[Rho]:
            members, wanted = self._members[number], self._wanted[number]
            self._parts[number] = yield from kernels.partial_trace(
                rho, len(members), _positions(members, wanted)
            )
            if len(self._parts) == len(self._members):
                self.rho.become((yield from self._together()))
            return rho

        return stage

    def _together(self) -> Steps[Rho]:
        rho = self._parts[0]
        for number in range(1, len(self._parts)):
            rho = yield from kernels.tensor(rho, self._parts[number])
        labels = [qubit for wanted in self._wanted for qubit in wanted]
        if labels == self._qubits:
            return rho
        return (yield from kernels.partial_trace(rho, len(labels), _positions(labels, self._qubits)))


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
