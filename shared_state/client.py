"""What a party of the lab sees of the quantum world: one typed method for every operation.

Gates are posted: they return at once, travel together and report their failure with the next answer.
Whatever returns knowledge is awaited. Times are emulated seconds, always stated by the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from shared_state.config import ClockMode
from shared_state.dialling import LocalDialler, TcpDialler
from shared_state.errors import ServerLost
from shared_state.line import Line
from shared_state.vocabulary import pack_bits, unpack_bits
from shared_state.wire import Message

if TYPE_CHECKING:
    from shared_state.service import Service

Basis = Literal["X", "Y", "Z"]
Bits = NDArray[np.uint8]


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


@dataclass(frozen=True, slots=True)
class Census:
    """How much of everything the quantum world holds.

    ``qubits`` and ``clusters`` of the joint state; qubits ``held`` by each node and ``handed_over`` to the
    referee; memories ``reserved`` for qubits awaited; qubits and trains of pulses ``in_flight``; open
    ``sessions``; requests ``waiting`` for another party.
    """

    qubits: int
    clusters: int
    held: dict[str, int]
    handed_over: int
    reserved: int
    in_flight: int
    sessions: int
    waiting: int


class _Client:
    """A session with the shared-state server. Use it with ``async with``: leaving the block says goodbye."""

    role: Literal["node", "oracle"]

    def __init__(self, line: Line) -> None:
        self._line = line
        self._tasks = AsyncExitStack()

    @classmethod
    async def connect(cls, host: str, port: int, *, lab: str, name: str, token: str) -> Self:
        """Open a session over TCP.

        Raises:
            AdmissionError: the server does not let this party in, for the reason stated.
            ServerLost: nobody answers at this address.
        """
        line = Line(TcpDialler(host, port), lab=lab, name=name, token=token, role=cls.role)
        await line.open()
        return cls(line)

    @property
    def lost(self) -> asyncio.Future[ServerLost]:
        """Resolve, with the error as its result, when the server is gone for good; open requests raise it."""
        return self._line.lost

    @property
    def mode(self) -> ClockMode:
        """How emulated time passes in this lab."""
        return self._line.welcome.mode

    @property
    def scale(self) -> float:
        """Emulated seconds per wall second, in real-time mode."""
        return self._line.welcome.scale

    @property
    def lease(self) -> float:
        """Wall seconds for which the server keeps this session while the connection is down."""
        return self._line.welcome.lease

    async def sync(self) -> None:
        """Wait until everything posted so far was applied; raise the first failure among it."""
        await self._line.ask("sync")

    async def close(self) -> None:
        """End the session: what it holds is traced out, who waits for it is told. Safe to call twice."""
        await self._line.close()

    async def __aenter__(self) -> Self:
        await self._tasks.enter_async_context(self._line.kept_connected())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        finally:
            await self._tasks.aclose()


class NodeClient(_Client):
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
        (qubit,) = _fields(await self._line.ask("qubit", at, run))
        return _integer(qubit)

    def gate(self, at: float, name: str, qubits: Sequence[int], *angles: float) -> None:
        """Apply a named gate (x y z h s t rx ry rz cnot cz swap); angles in radians."""
        self._line.post("gate", at, name, list(qubits), list(angles))

    def unitary(self, at: float, matrix: NDArray[np.complex128], qubits: Sequence[int]) -> None:
        """Apply a 2^k x 2^k unitary, the first qubit most significant."""
        self._line.post("unitary", at, np.asarray(matrix, dtype=np.complex128).tobytes(), list(qubits))

    async def measure(self, at: float, qubit: int, basis: Basis) -> int:
        """Measure and consume the qubit; 0 is the +1 eigenstate of the basis' Pauli operator."""
        return _integer(await self._line.ask("measure", at, qubit, basis))

    async def bell_measure(self, at: float, first: int, second: int) -> tuple[int, int]:
        """Measure both in the Bell basis and consume them; (x, z) stands for (X^x Z^z (x) I)|Phi+>."""
        x, z = _fields(await self._line.ask("bell_measure", at, first, second))
        return _integer(x), _integer(z)

    async def discard(self, at: float, qubit: int) -> None:
        """Give the qubit up: it is traced out and its memory is free."""
        await self._line.ask("discard", at, qubit)

    async def pair(self, at: float, run: str, link: str) -> PairDelivery:
        """Wait for a heralded pair on a link. The other end must ask for it, too, under the same run."""
        qubit, pair, time = _fields(await self._line.ask("pair", at, run, link))
        return PairDelivery(str(pair), _integer(qubit), _number(time))

    async def transmit(self, at: float, run: str, link: str, qubit: int) -> None:
        """Put a qubit on a link's fibre, towards the other end."""
        await self._line.ask("transmit", at, run, link, qubit)

    async def receive(self, at: float, run: str, link: str) -> Arrival:
        """Wait for the next qubit that the other end transmits under this run."""
        qubit, time = _fields(await self._line.ask("receive", at, run, link))
        return Arrival(None if qubit is None else _integer(qubit), _number(time))

    async def emit_pulses(self, at: float, run: str, link: str, bits: Bits, bases: Bits) -> float:
        """Emit one photon per element (basis 0 is Z, 1 is X); return when the last has left."""
        train = (pack_bits(bits), pack_bits(bases))
        return _number(await self._line.ask("emit_pulses", at, run, link, *train))

    async def measure_pulses(self, at: float, run: str, link: str, bases: Bits) -> Detection:
        """Wait for the other end's next train of pulses under this run; measure pulse i in ``bases[i]``."""
        answer = await self._line.ask("measure_pulses", at, run, link, pack_bits(bases))
        clicked, bits, time = _fields(answer)
        return Detection(unpack_bits(clicked), unpack_bits(bits), _number(time))

    async def hand_over(self, at: float, qubits: Sequence[int]) -> None:
        """Give qubits to the referee: they leave this node's memories and age no more."""
        await self._line.ask("hand_over", at, list(qubits))

    async def close_run(self, run: str) -> int:
        """End this node's part of a run and return how many qubits that traced out.

        It cleans up in any case; then it raises the failure of a posted gate of the run, if one was kept.
        """
        return _integer(await self._line.ask("close_run", run))


class OracleClient(_Client):
    """The view from outside that no node has: true states and the whole inventory."""

    role: Literal["node", "oracle"] = "oracle"

    @classmethod
    async def local(cls, service: Service, *, name: str = "control") -> Self:
        """Open an oracle session on a service in this process."""
        token = service.config.oracle_token
        line = Line(LocalDialler(service), lab=service.config.lab, name=name, token=token, role=cls.role)
        await line.open()
        return cls(line)

    async def density_matrix(self, qubits: Sequence[int]) -> NDArray[np.complex128]:
        """Return the reduced density matrix of the qubits in this order, the first most significant."""
        data = await self._line.ask("density_matrix", list(qubits))
        dimension = 2 ** len(qubits)
        return np.frombuffer(_binary(data), dtype=np.complex128).reshape(dimension, dimension).copy()

    async def fidelity(self, qubits: Sequence[int], target: NDArray[np.complex128]) -> float:
        """Return <psi|rho|psi> of the qubits with the normalised vector ``target``."""
        vector = np.asarray(target, dtype=np.complex128).tobytes()
        return _number(await self._line.ask("fidelity", list(qubits), vector))

    async def discard(self, qubits: Sequence[int]) -> None:
        """Trace out qubits that were handed over."""
        await self._line.ask("discard_handed_over", list(qubits))

    async def discard_run(self, run: str) -> int:
        """Trace out all that was handed over of a run and its parts, ``run/...``; return how many qubits."""
        return _integer(await self._line.ask("discard_run", run))

    async def set_tap(self, name: str, enabled: bool) -> None:
        """Attach or detach an eavesdropper; it acts on what enters the fibre from now on."""
        await self._line.ask("set_tap", name, enabled)

    async def census(self) -> Census:
        """Count everything the quantum world holds."""
        qubits, clusters, held, *others = _fields(await self._line.ask("census"))
        if not isinstance(held, dict):
            raise TypeError(f"the server counted held qubits as {held!r}")
        by_node = {node: _integer(count) for node, count in held.items()}
        return Census(_integer(qubits), _integer(clusters), by_node, *map(_integer, others))

    async def now(self) -> float:
        """Return the lab's emulated time: in virtual mode, the latest that any operation has stated."""
        return _number(await self._line.ask("now"))


def _integer(value: Message) -> int:
    if not isinstance(value, int):
        raise TypeError(f"the server answered {value!r} where an integer belongs")
    return value


def _number(value: Message) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"the server answered {value!r} where a number belongs")
    return float(value)


def _binary(value: Message) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"the server answered {value!r} where bytes belong")
    return value


def _fields(value: Message) -> list[Message]:
    if not isinstance(value, list):
        raise TypeError(f"the server answered {value!r} where several fields belong")
    return value
