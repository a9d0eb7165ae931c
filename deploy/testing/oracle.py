"""The quantum world as no node sees it, for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deploy.testing.errors import NotOfThisLab
from deploy.testing.standing import StandingLab
from shared_state.oracle import Census, OracleClient


class OracleHandle:
    """The view from outside that no node has: for tests only, and no part of what is tested."""

    def __init__(self, lab: StandingLab) -> None:
        self._lab = lab

    async def census(self) -> Census:
        """Count what the quantum world holds."""
        return await self._lab.thread.do("census", self._oracle().census())

    async def now(self) -> float:
        """Return the lab's emulated time in seconds."""
        return await self._lab.thread.do("now", self._oracle().now())

    async def density_matrix(self, qubits: Sequence[int]) -> NDArray[np.complex128]:
        """Return the reduced density matrix of qubits (by the numbers that events have), the first most significant."""
        return await self._lab.thread.do("look", self._oracle().density_matrix(qubits))

    async def fidelity(self, qubits: Sequence[int], target: ArrayLike) -> float:
        """Return <psi|rho|psi> of the qubits with the normalised vector ``target``."""
        vector = np.asarray(target, dtype=np.complex128)
        return await self._lab.thread.do("look", self._oracle().fidelity(qubits, vector))

    def _oracle(self) -> OracleClient:
        if self._lab.oracle is None:
            raise NotOfThisLab(
                f"nobody looks into the quantum world of lab '{self._lab.name}', which was up before"
            )
        return self._lab.oracle
