"""The qubits that a run holds on this node, as requests to the shared-state server."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from nodes.errors import MeasurementFailed, PeerGone, ProgramInvalid, QubitGone
from nodes.ports import Basis, BellOutcome, Qubit
from nodes.runtime.clock import RunClock
from shared_state.client import NodeClient
from shared_state.errors import MeasurementFailed as BellMeasurementFailed
from shared_state.errors import PeerError, QubitExpired

AnswerT = TypeVar("AnswerT")


async def answered(request: Coroutine[Any, Any, AnswerT], awaited: str) -> AnswerT:
    """Await Nature's answer.

    Raise ``PeerGone`` when it is that the party at the other end has gone, ``QubitGone`` when a memory's cut-off has
    passed for the qubit or the other half of its pair, ``MeasurementFailed`` for a Bell measurement that tells nothing.
    """
    try:
        return await request
    except PeerError as error:
        raise PeerGone(error.node, awaited) from error
    except QubitExpired as error:
        raise QubitGone(error.message) from error
    except BellMeasurementFailed as error:
        raise MeasurementFailed(error.message) from error


class Group(Protocol):
    """Qubits that a run holds together, as ``nodes.runtime.halves`` does."""

    def __len__(self) -> int:
        """Count the qubits."""

    async def discard(self) -> None:
        """Give them up."""


class Register:
    """The qubits of one run on one node: makes them, knows which are live, and gives them up at the end.

    ``run`` is the tag under which the server keeps them apart from other runs.
    """

    def __init__(self, client: NodeClient, clock: RunClock, run: str) -> None:
        self.client = client
        self.clock = clock
        self.run = run
        self._live: dict[int, HeldQubit] = {}
        self._groups: list[Group] = []
        self._freed: dict[object, Callable[[], None]] = {}

    async def qubit(self) -> HeldQubit:
        """Initialise a free memory to |0>; this is the ``nodes.ports.Memory`` of the run."""
        at = await self.free()
        qubit = self.adopt(await self.client.qubit(at, self.run))
        await self.passed(at, self.client.durations.initialisation)
        return qubit

    async def store(self, qubit: Qubit) -> None:
        """Move a qubit to this node's storage."""
        at = await self.free()
        await answered(self.client.store(at, self.identifier(qubit)), "a place in storage")
        await self.passed(at, self.client.durations.two)

    async def retrieve(self, qubit: Qubit) -> None:
        """Move a qubit from storage back to the memories."""
        at = await self.free()
        await answered(self.client.retrieve(at, self.identifier(qubit)), "a place in memory")
        await self.passed(at, self.client.durations.two)

    async def free(self) -> float:
        """Wait until the gates before are over; return the time. What has an answer is asked for when it happens."""
        at = self.clock.now()
        await self.clock.until(at)
        return at

    async def passed(self, began: float, duration: float) -> None:
        """Wait until an operation that began at ``began`` is over."""
        if duration:
            await self.clock.until(began + duration)

    def spend_gate(self, qubits: int) -> None:
        """Let a gate on so many qubits take its time."""
        durations = self.client.durations
        self.clock.spend(durations.single if qubits == 1 else durations.two)

    def adopt(self, identifier: int, freed: Callable[[], None] | None = None) -> HeldQubit:
        """Hold a qubit that Nature has just given to this node; ``freed`` is called when it is let go of."""
        qubit = HeldQubit(self, identifier)
        self._live[identifier] = qubit
        if freed is not None:
            self._freed[identifier] = freed
        return qubit

    def release(self, qubit: Qubit) -> int:
        """Let go of a live qubit and return its id: from here on its handle is dead."""
        identifier = self.identifier(qubit)
        self.forget(identifier)
        return identifier

    def forget(self, identifier: int) -> None:
        """Let go of a qubit that may be gone already."""
        self._live.pop(identifier, None)
        if (freed := self._freed.pop(identifier, None)) is not None:
            freed()

    def identifier(self, qubit: Qubit) -> int:
        """Return the id of a live qubit of this run; raise ``QubitGone`` for any other."""
        if not isinstance(qubit, HeldQubit) or self._live.get(qubit.identifier) is not qubit:
            raise _gone(qubit)
        return qubit.identifier

    def hold(self, group: Group, freed: Callable[[], None] | None = None) -> None:
        """Hold qubits together, from when Nature begins to give them to this node; ``freed`` as in ``adopt``."""
        self._groups.append(group)
        if freed is not None:
            self._freed[group] = freed

    def release_group(self, group: object) -> None:
        """Let go of qubits that are held together; raise ``QubitGone`` when they are not (any more)."""
        self.check_group(group)
        self._groups = [held for held in self._groups if held is not group]
        if (freed := self._freed.pop(group, None)) is not None:
            freed()

    def check_group(self, group: object) -> None:
        """Raise ``QubitGone`` unless these qubits are held together here."""
        if not any(held is group for held in self._groups):
            raise _gone(group)

    async def hand_over(self, qubits: Sequence[Qubit]) -> list[int]:
        """Give qubits to the referee; return their ids."""
        for qubit in qubits:
            self.identifier(qubit)  # all of them are here, or none is let go of
        identifiers = [self.release(qubit) for qubit in dict.fromkeys(qubits)]
        if identifiers:
            await self.client.hand_over(self.clock.now(), identifiers)
        return identifiers

    async def discard_rest(self) -> int:
        """Discard whatever is still live; return how many qubits that were."""
        rest, groups = list(self._live.values()), list(self._groups)
        for qubit in rest:
            await qubit.discard()
        for group in groups:
            await group.discard()
        return len(rest) + sum(len(group) for group in groups)


def _gone(held: object) -> QubitGone:
    return QubitGone(f"{held!r} is not held here: it was measured, sent, discarded or handed over before")


class HeldQubit:
    """A ``nodes.ports.Qubit``: gates are posted, outcomes are awaited."""

    def __init__(self, register: Register, identifier: int) -> None:
        self._register = register
        self.identifier = identifier

    def __repr__(self) -> str:
        return f"<qubit {self.identifier} of run {self._register.run}>"

    def x(self) -> None:
        """Apply the Pauli X."""
        self._gate("x")

    def y(self) -> None:
        """Apply the Pauli Y."""
        self._gate("y")

    def z(self) -> None:
        """Apply the Pauli Z."""
        self._gate("z")

    def h(self) -> None:
        """Apply the Hadamard gate."""
        self._gate("h")

    def s(self) -> None:
        """Apply S = diag(1, i)."""
        self._gate("s")

    def t(self) -> None:
        """Apply T = diag(1, e^(i pi/4))."""
        self._gate("t")

    def rx(self, angle: float) -> None:
        """Rotate by ``angle`` radians about the x axis."""
        self._gate("rx", (), angle)

    def ry(self, angle: float) -> None:
        """Rotate by ``angle`` radians about the y axis."""
        self._gate("ry", (), angle)

    def rz(self, angle: float) -> None:
        """Rotate by ``angle`` radians about the z axis."""
        self._gate("rz", (), angle)

    def cnot(self, target: Qubit) -> None:
        """Apply X to ``target`` where this qubit is 1."""
        self._gate("cnot", (target,))

    def cz(self, other: Qubit) -> None:
        """Apply the controlled phase."""
        self._gate("cz", (other,))

    def swap(self, other: Qubit) -> None:
        """Exchange the states of both qubits."""
        self._gate("swap", (other,))

    def apply(self, unitary: NDArray[np.complex128], *others: Qubit) -> None:
        """Apply a 2^k x 2^k unitary to this qubit and ``others``, this one most significant."""
        register = self._register
        qubits = [register.identifier(qubit) for qubit in (self, *others)]
        register.client.unitary(register.clock.now(), unitary, qubits)
        register.spend_gate(len(qubits))

    async def measure(self, basis: Basis = "Z") -> int:
        """Measure and consume the qubit."""
        register = self._register
        at = await register.free()
        identifier = register.release(self)
        outcome = await answered(register.client.measure(at, identifier, basis), "an outcome")
        await register.passed(at, register.client.durations.readout)
        return outcome

    async def bell_measure(self, other: Qubit) -> BellOutcome:
        """Measure both qubits in the Bell basis and consume them."""
        register = self._register
        register.identifier(other)
        if other is self:
            raise ProgramInvalid(f"a Bell measurement takes two qubits, and both are {self!r}")
        at, durations = await register.free(), register.client.durations
        mine, its = register.release(self), register.release(other)
        outcome = await answered(register.client.bell_measure(at, mine, its), "an outcome")
        await register.passed(at, durations.two + durations.readout)
        return BellOutcome(*outcome)

    async def discard(self) -> None:
        """Give the qubit up."""
        register = self._register
        at = await register.free()
        await register.client.discard(at, register.release(self))

    def _gate(self, name: str, others: Sequence[Qubit] = (), *angles: float) -> None:
        register = self._register
        qubits = [register.identifier(qubit) for qubit in (self, *others)]
        register.client.gate(register.clock.now(), name, qubits, *angles)
        register.spend_gate(len(qubits))
