"""What a node of the lab sees of the quantum world: one typed method for every operation.

Gates are posted: they return at once, travel together and report their failure with the next answer.
Whatever returns knowledge is awaited. Times are emulated seconds, always stated by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from shared_state.arguments import Bits, pack_bits, unpack_bits
from shared_state.dialling import LocalDialler
from shared_state.line import Line
from shared_state.party import Party, fields, integer, number

if TYPE_CHECKING:
    from shared_state.service import Service

Basis = Literal["X", "Y", "Z"]


class PairDelivery(NamedTuple):
    """One end of a heralded pair: the id that both ends hold, this end's qubit, and the herald's time."""

    pair: str
    qubit: int
    time: float


class Arrival(NamedTuple):
    """What came out of a fibre: a qubit, or None when it was lost on the way; and when."""

    qubit: int | None
    time: float


class Detection(NamedTuple):
    """What a receiver saw of a train of pulses: per pulse a click, and its bit (0 where there was none)."""

    clicked: Bits
    bits: Bits
    time: float


class NodeClient(Party):
    """A node's hold on the quantum world: it acts on its own qubits and learns outcomes, nothing else."""

    role: Literal["node", "oracle"] = "node"

    @classmethod
    async def local(cls, service: Service, *, name: str) -> Self:
        """Open a session on a service in this process: the same requests and answers, without a socket."""
        token = service.config.credentials[name]
        line = Line(LocalDialler(service), lab=service.config.lab, name=name, token=token, role=cls.role)
        await line.open()
        return cls(line)

    def now(self) -> float:
        """Return the lab's emulated time; in virtual mode, the latest there was when this session began."""
        return self._line.emulated_now()

    async def qubit(self, at: float, run: str) -> int:
        """Initialise a free memory to |0> and return the qubit's id."""
        (qubit,) = fields(await self._line.ask("qubit", at, run))
        return integer(qubit)

    def gate(self, at: float, name: str, qubits: Sequence[int], *angles: float) -> None:
        """Apply a named gate (x y z h s t rx ry rz cnot cz swap); angles in radians."""
        self._line.post("gate", at, name, list(qubits), list(angles))

    def unitary(self, at: float, matrix: NDArray[np.complex128], qubits: Sequence[int]) -> None:
        """Apply a 2^k x 2^k unitary, the first qubit most significant."""
        self._line.post("unitary", at, np.asarray(matrix, dtype=np.complex128).tobytes(), list(qubits))

    async def measure(self, at: float, qubit: int, basis: Basis) -> int:
        """Measure and consume the qubit; 0 is the +1 eigenstate of the basis' Pauli operator."""
        return integer(await self._line.ask("measure", at, qubit, basis))

    async def bell_measure(self, at: float, first: int, second: int) -> tuple[int, int]:
        """Measure both in the Bell basis and consume them; (x, z) stands for (X^x Z^z (x) I)|Phi+>."""
        x, z = fields(await self._line.ask("bell_measure", at, first, second))
        return integer(x), integer(z)

    async def discard(self, at: float, qubit: int) -> None:
        """Give the qubit up: it is traced out and its memory is free."""
        await self._line.ask("discard", at, qubit)

    async def pair(self, at: float, run: str, link: str) -> PairDelivery:
        """Wait for a heralded pair on a link. The other end must ask for it, too, under the same run."""
        qubit, pair, time = fields(await self._line.ask("pair", at, run, link))
        return PairDelivery(str(pair), integer(qubit), number(time))

    async def transmit(self, at: float, run: str, link: str, qubit: int) -> None:
        """Put a qubit on a link's fibre, towards the other end."""
        await self._line.ask("transmit", at, run, link, qubit)

    async def receive(self, at: float, run: str, link: str) -> Arrival:
        """Wait for the next qubit that the other end transmits under this run."""
        qubit, time = fields(await self._line.ask("receive", at, run, link))
        return Arrival(None if qubit is None else integer(qubit), number(time))

    async def emit_pulses(self, at: float, run: str, link: str, bits: Bits, bases: Bits) -> float:
        """Emit one photon per element (basis 0 is Z, 1 is X); return when the last has left."""
        train = (pack_bits(bits), pack_bits(bases))
        return number(await self._line.ask("emit_pulses", at, run, link, *train))

    async def measure_pulses(self, at: float, run: str, link: str, bases: Bits) -> Detection:
        """Wait for the other end's next train of pulses under this run; measure pulse i in ``bases[i]``."""
        answer = await self._line.ask("measure_pulses", at, run, link, pack_bits(bases))
        clicked, bits, time = fields(answer)
        return Detection(unpack_bits(clicked), unpack_bits(bits), number(time))

    async def hand_over(self, at: float, qubits: Sequence[int]) -> None:
        """Give qubits to the referee: they leave this node's memories and age no more."""
        await self._line.ask("hand_over", at, list(qubits))

    async def close_run(self, run: str) -> int:
        """End this node's part of a run and return how many qubits that traced out.

        It cleans up in any case; then it raises the failure of a posted gate of the run, if one was kept.
        """
        return integer(await self._line.ask("close_run", run))
