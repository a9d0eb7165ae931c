"""What the engine refuses.

    EngineError
    ├── UnknownQubit       (LookupError)   the state has no such qubit
    ├── ClusterTooLarge                    joining the qubits would exceed the lab's limit
    ├── InvalidOperator    (ValueError)    a gate, unitary or channel that is none, or does not fit its qubits
    └── InvalidState       (ValueError)    a density matrix that does not fit its qubits

Whoever raises leaves the state as it was.
"""

from __future__ import annotations

from collections.abc import Iterable


class EngineError(Exception):
    """The engine refused an operation; the state is as it was before."""


class UnknownQubit(EngineError, LookupError):
    """A qubit was named that the state does not hold (any more)."""

    def __init__(self, qubit: int) -> None:
        super().__init__(f"qubit {qubit} does not exist: it was never made, or it was measured or discarded.")
        self.qubit = qubit


class ClusterTooLarge(EngineError):
    """An operation would entangle more qubits than one cluster may hold."""

    def __init__(self, qubits: Iterable[int], limit: int) -> None:
        self.qubits = tuple(sorted(qubits))
        self.limit = limit
        names = ", ".join(map(str, self.qubits))
        super().__init__(
            f"the qubits {names} would make one cluster of {len(self.qubits)}, and max_qubits is {limit}: "
            "measure or discard some of them first, or raise max_qubits (each more takes 4 times the memory)."
        )


class InvalidOperator(EngineError, ValueError):
    """A gate, unitary or channel is not one, or does not fit the qubits it was meant for."""


class InvalidState(EngineError, ValueError):
    """A density matrix does not fit the qubits it was meant for."""
