"""A role's way to ask for pairs, and to accept them: a ``nodes.requests.Network``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar, cast, get_args

from nodes.errors import ProgramInvalid
from nodes.link.service import Kind
from nodes.network.circuit import MAX_BATCH, PURIFICATIONS, Distillation
from nodes.network.request import Demand
from nodes.ports import Basis, Coin
from nodes.requests import Pairs, SharedHalf, SharedHalves, SharedOutcomes, Terms
from nodes.runtime.clock import RunClock
from nodes.runtime.qubits import Register
from nodes.runtime.requesting import Requesting, Surroundings
from nodes.runtime.shares import Share, Taker

ShareT = TypeVar("ShareT", SharedHalf, SharedHalves, SharedOutcomes)


@dataclass(slots=True)
class RequestDesk:
    """A ``nodes.requests.Network`` for one role in one round."""

    network: Surroundings
    register: Register
    clock: RunClock
    coin: Coin
    session: str
    role: str
    nodes: Mapping[str, str]
    deadline: float
    _asked: Counter[str] = field(default_factory=Counter)

    @property
    def others(self) -> tuple[str, ...]:
        """Name the other roles."""
        return tuple(name for name in self.nodes if name != self.role)

    def request(self, role: str, number: int = 1, terms: Terms = Terms()) -> Pairs[SharedHalf]:  # noqa: B008
        """Ask for pairs to be kept."""
        return self._request(role, number, terms, SharedHalf)

    def request_batches(
        self,
        role: str,
        number: int,
        batch: int,
        terms: Terms = Terms(),  # noqa: B008
    ) -> Pairs[SharedHalves]:
        """Ask for batches of pairs."""
        if not 2 <= batch <= MAX_BATCH:
            raise ProgramInvalid(f"a batch has 2 to {MAX_BATCH} pairs, not {batch}")
        return self._request(role, number, terms, SharedHalves, batch=batch)

    def request_outcomes(
        self,
        role: str,
        number: int,
        bases: str = "ZX",
        batch: int = 1,
        terms: Terms = Terms(),  # noqa: B008
    ) -> Pairs[SharedOutcomes]:
        """Ask for pairs that either end measures at once."""
        return self._request(
            role, number, terms, SharedOutcomes, kind="measure", batch=batch, bases=_bases(bases)
        )

    def accept(self, role: str) -> Pairs[SharedHalf]:
        """Accept the next request for pairs."""
        return self._accept(role, SharedHalf)

    def accept_batches(self, role: str) -> Pairs[SharedHalves]:
        """Accept the next request for batches."""
        return self._accept(role, SharedHalves)

    def accept_outcomes(self, role: str, bases: str = "ZX") -> Pairs[SharedOutcomes]:
        """Accept the next request for outcomes."""
        return self._accept(role, SharedOutcomes, _bases(bases))

    def _request(
        self,
        role: str,
        number: int,
        terms: Terms,
        share: type[ShareT],
        *,
        kind: Kind = "keep",
        batch: int = 1,
        bases: tuple[Basis, ...] = ("Z",),
    ) -> Pairs[ShareT]:
        if number < 1:
            raise ProgramInvalid(f"at least one pair is asked for, not {number}")
        node, steps = self._node(role), distillations(terms.purify)
        demand = Demand(
            purpose=self._purpose(self.role, role),
            source=self.network.name,
            destination=node,
            number=number,
            kind=kind,
            min_fidelity=terms.min_fidelity,
            deadline=inf if terms.within is None else self.clock.now() + terms.within,
            cost=terms.cost,
            order=tuple(name.strip() for name in terms.order.split(",")),
            distillations=steps,
            window=_window(terms, number, 1 + len(steps)),
            batch=batch,
            cutoff=terms.cutoff,
        )
        requesting = Requesting(self.network, demand)
        requesting.claim(self._taker(role, share, bases))
        self.network.event(requesting.begin)
        return cast("Pairs[ShareT]", requesting)

    def _accept(self, role: str, share: type[ShareT], bases: tuple[Basis, ...] = ("Z",)) -> Pairs[ShareT]:
        acceptance = self.network.acceptances.accept(self._node(role), self._purpose(role, self.role))
        acceptance.claim(self._taker(role, share, bases))
        return cast("Pairs[ShareT]", acceptance)

    def _taker(self, role: str, share: type[Share], bases: tuple[Basis, ...]) -> Taker:
        return Taker(self.register, self.clock, self.coin, role, share, bases, self.deadline)

    def _purpose(self, asking: str, accepting: str) -> str:
        way = f"{asking}-{accepting}"
        self._asked[way] += 1
        return f"{self.session}/{way}/{self._asked[way]}"

    def _node(self, role: str) -> str:
        if role not in self.nodes or role == self.role:
            raise ProgramInvalid(f"'{role}' is no other role; there are: {', '.join(self.others)}")
        return self.nodes[role]


def distillations(purify: str) -> tuple[Distillation, ...]:
    """Read which pairs are purified: "dejmps", or "dejmps,1:bbpssw" with the level of the segments before.

    Raise ``ProgramInvalid`` for what is none.
    """
    steps = []
    for step in filter(None, (each.strip() for each in purify.split(","))):
        level, colon, protocol = step.rpartition(":")
        if colon and not level.isdigit():
            raise ProgramInvalid(f"'{step}' is no purification: write LEVEL:PROTOCOL, such as 1:dejmps")
        if protocol not in PURIFICATIONS:
            raise ProgramInvalid(f"purification is one of {', '.join(PURIFICATIONS)}, not '{protocol}'")
        steps.append(Distillation(int(level or 0), protocol))
    return tuple(steps)


def _bases(bases: str) -> tuple[Basis, ...]:
    if not bases or set(bases) - set(get_args(Basis)):
        raise ProgramInvalid(f"bases are letters X, Y and Z, not '{bases}'")
    return tuple(cast(Basis, basis) for basis in bases)


def _window(terms: Terms, number: int, least: int) -> int:
    """Return how many units may be under way: where fidelity counts no more than must be, for those that queue age."""
    if terms.min_fidelity > 0:
        return least
    return terms.window if least > 1 else min(terms.window, number)
