"""The halves of many pairs that a run holds on this node, as requests to the shared-state server."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nodes.errors import ProgramInvalid, QubitGone
from nodes.ports import Bits, Halves
from nodes.runtime.qubits import Register, answered
from shared_state.deliveries import PairsDelivery


class HeldHalves:
    """A ``nodes.ports.Halves``: one batch of Nature's, or several where one request would be too large.

    Two that count alike are divided alike, so whatever acts on both acts part by part. A part that an error leaves
    behind stays with its run.
    """

    def __init__(self, register: Register, link: str, freed: Callable[[], None] | None = None) -> None:
        self._register = register
        self._link = link
        self._parts: list[PairsDelivery] = []
        register.hold(self, freed)

    def __repr__(self) -> str:
        return f"<{len(self)} halves of pairs of link {self._link} in run {self._register.run}>"

    def __len__(self) -> int:
        return sum(len(part.times) for part in self._parts)

    @property
    def pairs(self) -> list[str]:
        """List the pairs' ids."""
        return [f"{self._link}/{part.first + i}" for part in self._parts for i in range(len(part.times))]

    @property
    def heralded_at(self) -> NDArray[np.float64]:
        """Tell when this node heard of each pair."""
        return np.concatenate([part.times for part in self._parts])

    def handed_over(self, register: Register, freed: Callable[[], None]) -> HeldHalves:
        """Give these halves to another register of this node; here they are gone."""
        self._register.release_group(self)
        given = HeldHalves(register, self._link, freed)
        given._parts = self._parts
        return given

    def add(self, part: PairsDelivery) -> None:
        """Hold what Nature has just given to this node."""
        self._parts.append(part)

    def correct(self, x: Bits, z: Bits) -> None:
        """Apply X^x[i] Z^z[i] to half i; it takes as long as the half with the most gates."""
        register = self._register
        register.check_group(self)
        at = register.clock.now()
        for part, some_x, some_z in zip(self._parts, self._divided(x), self._divided(z), strict=True):
            register.client.correct_pairs(at, part.batch, some_x, some_z)
        for _ in range(int((x + z).max(initial=0))):
            register.spend_gate(1)

    async def measure(self, bases: Bits) -> Bits:
        """Measure and consume all halves."""
        register, divided = self._register, self._divided(bases)
        register.release_group(self)
        at, bits = register.clock.now(), []
        for part, some in zip(self._parts, divided, strict=True):
            request = register.client.measure_pairs(at, part.batch, some)
            bits.append(await answered(request, "the outcomes"))
        await register.passed(at, register.client.durations.readout)
        return np.concatenate(bits)

    async def bell_measure(self, other: Halves) -> tuple[Bits, Bits]:
        """Measure these and the other halves in the Bell basis, one by one, and consume them."""
        register = self._register
        if not isinstance(other, HeldHalves):
            raise QubitGone(f"{other!r} is not held here: give halves of pairs that a link has delivered")
        if other is self:
            raise ProgramInvalid(f"{self!r} cannot be measured with themselves: name two different ones")
        self._check_length(len(other))
        register.check_group(other)
        register.release_group(self)
        register.release_group(other)
        at, durations, outcomes = register.clock.now(), register.client.durations, []
        for mine, its in zip(self._parts, other._parts, strict=True):
            request = register.client.swap_pairs(at, mine.batch, its.batch)
            outcomes.append(await answered(request, "the outcomes"))
        await register.passed(at, durations.two + durations.readout)
        x, z = zip(*outcomes, strict=True)
        return np.concatenate(x), np.concatenate(z)

    async def discard(self) -> None:
        """Give all halves up."""
        register = self._register
        register.release_group(self)
        for part in self._parts:
            await register.client.discard_pairs(register.clock.now(), part.batch)

    def _divided(self, elements: Bits) -> list[Bits]:
        self._check_length(len(elements))
        ends = np.cumsum([0, *(len(part.times) for part in self._parts)])
        return [elements[start:end] for start, end in pairwise(ends)]

    def _check_length(self, count: int) -> None:
        if count != len(self):
            raise ProgramInvalid(f"{self!r} were to be used with {count} others: give one for each half")
