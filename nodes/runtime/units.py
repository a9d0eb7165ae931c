"""What a circuit moves, in a node's hands: one half, or the halves of a batch, with one bit a pair in an integer.

Whatever is done with a unit ends it, also when it fails: then nothing of it is left in a memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import numpy as np

from nodes.errors import MeasurementFailed, PeerGone, ProgramInvalid, QubitGone
from nodes.network.circuit import PURIFICATIONS
from nodes.network.purify import turn, twirl
from nodes.ports import Basis, Bits
from nodes.runtime.halves import HeldHalves
from nodes.runtime.qubits import HeldQubit, Register
from shared_state.errors import LinkDown, PeerError, RequestError

_CODES: dict[Basis, int] = {"Z": 0, "X": 1, "Y": 2}


_GONE = (QubitGone, MeasurementFailed, PeerGone, RequestError, LinkDown)
"""Why nothing can be done with a unit: LinkDown where its herald was foretold, and the link was cut before it came."""
_REFUSED = (RequestError, PeerError, LinkDown)
"""How Nature says so."""


class UnitGone(Exception):
    """A unit was not there any more when something was to be done with it, so what was to be done has failed."""


class Unit(Protocol):
    """A half, or halves, that a circuit holds at this node."""

    heralded_at: float

    async def swap(self, other: Unit) -> tuple[int, int]:
        """Bell-measure this unit with another one; return the outcomes x and z. Raises ``UnitGone``."""

    async def measure(self, basis: Basis) -> Bits:
        """Measure in one basis. Raises ``UnitGone``."""

    async def discard(self) -> None:
        """Give it up."""

    def correct(self, x: int, z: int) -> None:
        """Apply X^x Z^z, bit i to pair i."""

    def hand_over(self, register: Register, freed: Callable[[], None]) -> HeldQubit | HeldHalves:
        """Let a role have it; ``freed`` is called when its memories are free again."""


class Single:
    """One half."""

    def __init__(self, register: Register, identifier: int, heralded_at: float) -> None:
        self._register = register
        self.qubit = register.adopt(identifier)
        self.heralded_at = heralded_at

    async def swap(self, other: Unit) -> tuple[int, int]:
        """Bell-measure both."""
        assert isinstance(other, Single)
        async with self._whole(self, other):
            outcome = await self.qubit.bell_measure(other.qubit)
        return outcome.x, outcome.z

    async def measure(self, basis: Basis) -> Bits:
        """Measure it."""
        async with self._whole(self):
            return np.array([await self.qubit.measure(basis)], dtype=np.uint8)

    async def purify(self, spent: Single, protocol: str, turns: tuple[int, int], *, left: bool) -> int:
        """Do one end's part of a purification; return the outcome of ``spent``. Raises ``UnitGone``: both are gone."""
        assert protocol in PURIFICATIONS
        async with self._whole(self, spent):
            for half, often in zip((self.qubit, spent.qubit), turns, strict=True):
                twirl(half, often, left=left)
                turn(half, protocol, left=left)
            self.qubit.cnot(spent.qubit)
            return await spent.qubit.measure()

    async def discard(self) -> None:
        """Give it up."""
        await self._give_up(self.qubit.identifier)

    def correct(self, x: int, z: int) -> None:
        """Apply X^x Z^z."""
        if x:
            self.qubit.x()
        if z:
            self.qubit.z()

    def hand_over(self, register: Register, freed: Callable[[], None]) -> HeldQubit:
        """Let a role have it."""
        return register.adopt(self._register.release(self.qubit), freed)

    async def _give_up(self, identifier: int) -> None:
        """Discard a qubit that may be gone."""
        self._register.forget(identifier)
        with suppress(*_REFUSED):
            await self._register.client.discard(self._register.clock.now(), identifier)

    @asynccontextmanager
    async def _whole(self, *units: Single) -> AsyncIterator[None]:
        """Fail as a whole: when one unit is gone, give all of them up and raise ``UnitGone``."""
        try:
            yield
        except _GONE as error:
            for unit in units:
                await self._give_up(unit.qubit.identifier)
            raise UnitGone(str(error)) from error


class Batch:
    """The halves of some pairs that are treated alike."""

    def __init__(self, halves: HeldHalves) -> None:
        self.halves = halves
        self.heralded_at = float(halves.heralded_at.max())

    async def swap(self, other: Unit) -> tuple[int, int]:
        """Bell-measure all, one by one."""
        assert isinstance(other, Batch)
        try:
            x, z = await self.halves.bell_measure(other.halves)
        except _GONE as error:
            raise UnitGone(str(error)) from error
        return _integer(x), _integer(z)

    async def measure(self, basis: Basis) -> Bits:
        """Measure all."""
        try:
            return await self.halves.measure(np.full(len(self.halves), _CODES[basis], dtype=np.uint8))
        except _GONE as error:
            raise UnitGone(str(error)) from error

    async def discard(self) -> None:
        """Give all up."""
        with suppress(QubitGone, *_REFUSED):
            await self.halves.discard()

    def correct(self, x: int, z: int) -> None:
        """Apply X^x Z^z, bit i to pair i."""
        if x or z:
            self.halves.correct(bits_of(x, len(self.halves)), bits_of(z, len(self.halves)))

    def hand_over(self, register: Register, freed: Callable[[], None]) -> HeldHalves:
        """Let a role have them."""
        return self.halves.handed_over(register, freed)


def bits_of(integer: int, count: int) -> Bits:
    """Return the ``count`` bits of an integer, the lowest first. Raises ``ProgramInvalid`` when it has more."""
    if integer >> count:
        raise ProgramInvalid(f"a frame of {integer.bit_length()} bits is not one of {count} pairs")
    return np.array([integer >> place & 1 for place in range(count)], dtype=np.uint8)


def _integer(bits: Bits) -> int:
    return sum(1 << place for place, bit in enumerate(bits.tolist()) if bit)
