"""Work on large clusters that is still to be done: a row of stages for each cluster, done slice by slice."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.engine.clusters import Cluster
from shared_state.engine.slices import Steps

Rho: TypeAlias = NDArray[np.complex128]

Stage: TypeAlias = Callable[[Rho], Steps[Rho]]
"""What turns a cluster's matrix into its next one. It does nothing before its first slice."""


class Account:
    """Counts the ``stages`` that somebody has caused and that are not done yet."""

    __slots__ = ("stages",)

    def __init__(self) -> None:
        self.stages = 0


class Backlog:
    """The clusters whose matrix is behind their membership, each with its stages in the order of their causes.

    Stages of one cluster follow each other, and one that needs another cluster's matrix waits until that owes nothing.
    It only ever needs what was caused before it, so somebody can always go on.
    """

    def __init__(self) -> None:
        self._rows: dict[Cluster, tuple[deque[tuple[Stage, Account]], Steps[None]]] = {}
        self.account = Account()

    def __len__(self) -> int:
        """Return the number of clusters that owe something."""
        return len(self._rows)

    def __contains__(self, cluster: object) -> bool:
        return cluster in self._rows

    def append(self, cluster: Cluster, stage: Stage) -> None:
        """Let a cluster owe one stage more, on the present ``account``."""
        self.account.stages += 1
        if cluster not in self._rows:
            stages = deque[tuple[Stage, Account]]()
            self._rows[cluster] = stages, _worked_off(cluster, stages)
        self._rows[cluster][0].append((stage, self.account))

    def work(self) -> None:
        """Do one slice for the cluster whose turn it is; the next time it is another's.

        A stage that fails, for want of memory say, has done nothing: it begins anew when it is tried again.
        """
        cluster = next(iter(self._rows))
        stages, steps = self._rows.pop(cluster)
        self._rows[cluster] = stages, steps
        try:
            next(steps)
        except StopIteration:
            del self._rows[cluster]
        except Exception:
            self._rows[cluster] = stages, _worked_off(cluster, stages)
            raise

    def settled(self, cluster: Cluster) -> Steps[Rho]:
        """Wait, in slices of nothing, until the cluster owes nothing; return its matrix."""
        while cluster in self._rows:
            yield
        return cluster.rho


def _worked_off(cluster: Cluster, stages: deque[tuple[Stage, Account]]) -> Steps[None]:
    while True:
        stage, account = stages[0]
        cluster.rho = yield from stage(cluster.rho)
        del stages[0]
        account.stages -= 1
        if not stages:
            return
        yield
