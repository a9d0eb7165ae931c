"""Who holds which qubit, under which run, since when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared_state.errors import LimitExceeded, NoFreeMemory, NoSuchQubit, NotYours

MAX_HANDED_OVER: Final = 4096
"""Qubits of one node that the referee keeps at a time."""


class Bereavement(NamedTuple):
    """A pair that lost its other half when ``node`` departed."""

    node: str
    pair: str


@dataclass(slots=True, eq=False)
class Holding:
    """One qubit in somebody's hands.

    ``qubit`` is the id its holder knows, ``label`` its name in the joint state: the label stays when the
    qubit flies to another node, the id does not. ``touched`` is the emulated time up to which it has aged.
    ``partner`` is the other half of its pair as long as both exist, through swaps; ``holder`` None is the
    referee.
    """

    label: int
    qubit: int = -1
    holder: str | None = None
    run: str = ""
    touched: float = 0.0
    pair: str = ""
    partner: Holding | None = None
    bereaved: Bereavement | None = None

    def part(self) -> None:
        """End the pair: neither half is the other's partner any more."""
        if self.partner is not None:
            self.partner.partner = None
            self.partner = None

    def exchange(self, other: Holding) -> None:
        """Exchange what is known of the two qubits' pairs: their states have changed places."""
        if self.partner is not other:
            self.partner, other.partner = other.partner, self.partner
            for half in (self, other):
                if half.partner is not None:
                    half.partner.partner = half
        self.pair, other.pair = other.pair, self.pair
        self.bereaved, other.bereaved = other.bereaved, self.bereaved


class Ledger:
    """The holdings of all nodes and of the referee, within the nodes' memory capacities.

    The n nodes take the qubit ids k, k + n, k + 2n, ... for themselves, so an id says to whom it was given.
    That is how a stranger's question is answered without telling what the holder has done since.
    """

    def __init__(self, capacities: Mapping[str, int]) -> None:
        self._capacities = dict(capacities)
        self._next = {node: index for index, node in enumerate(capacities)}
        self._held: dict[str, dict[int, Holding]] = {node: {} for node in capacities}
        self._reserved: dict[str, Counter[str]] = {node: Counter() for node in capacities}
        self._given: dict[str, dict[int, Holding]] = {node: {} for node in capacities}

    def check_free(self, node: str) -> None:
        """Raise NoFreeMemory, naming the runs that hold them, when all memories of the node are in use."""
        reserved = self._reserved[node]
        if len(self._held[node]) + reserved.total() < self._capacities[node]:
            return
        users = Counter(holding.run for holding in self._held[node].values()) + reserved
        runs = ", ".join(f"{run!r} ({count})" for run, count in users.items())
        raise NoFreeMemory(
            f"all {self._capacities[node]} memories of {node} are in use by the runs {runs}, "
            f"{reserved.total()} of them reserved for qubits awaited: measure or discard a qubit first."
        )

    def reserve(self, node: str, run: str) -> None:
        """Set a memory aside for a qubit that is awaited."""
        self.check_free(node)
        self._reserved[node][run] += 1

    def release(self, node: str, run: str) -> None:
        """Take a reservation back."""
        self._reserved[node] -= Counter({run: 1})

    def enter(self, holding: Holding, node: str, run: str, at: float) -> None:
        """Record a qubit, new or flown in, in a free memory of the node, under a new id."""
        self.check_free(node)
        holding.qubit, holding.holder, holding.run, holding.touched = self._next[node], node, run, at
        self._next[node] += len(self._capacities)
        self._held[node][holding.qubit] = holding

    def leave(self, holding: Holding) -> None:
        """Free the memory."""
        del self._home(holding)[holding.qubit]

    def hand_over(self, node: str, holdings: Sequence[Holding]) -> None:
        """Move qubits from their holder to the referee. They keep their run. Raises LimitExceeded."""
        given = self._given[node]
        if len(given) + len(holdings) > MAX_HANDED_OVER:
            raise LimitExceeded(
                f"the referee would hold {len(given) + len(holdings)} qubits of {node}, and the limit is "
                f"{MAX_HANDED_OVER}: it must discard some first."
            )
        for holding in holdings:
            self.leave(holding)
            holding.holder = None
            given[holding.qubit] = holding

    def held_by(self, node: str, qubit: int) -> Holding:
        """Return the node's holding of this id.

        Raises:
            NotYours: the id was never given to this node.
            NoSuchQubit: it was, and the qubit has left since.
        """
        holding = self._held[node].get(qubit)
        if holding is not None:
            return holding
        step = len(self._capacities)
        if 0 <= qubit < self._next[node] and (self._next[node] - qubit) % step == 0:
            raise NoSuchQubit(f"{node} no longer holds qubit {qubit}: it was measured, discarded or sent.")
        raise NotYours(f"{node} does not hold qubit {qubit}: only the holder may act on a qubit.")

    def find(self, qubit: int) -> Holding:
        """Return a holding of anybody. Raises NoSuchQubit."""
        for home in (*self._given.values(), *self._held.values()):
            if qubit in home:
                return home[qubit]
        raise NoSuchQubit(f"nobody holds qubit {qubit}.")

    def of_node(self, node: str, run: str | None = None) -> list[Holding]:
        """Return what the node holds, all of it or that of one run."""
        return [holding for holding in self._held[node].values() if run is None or holding.run == run]

    def of_referee(self, run: str | None = None) -> list[Holding]:
        """Return what was handed over, all of it or that of one run and its parts, ``run/...``."""
        given = [holding for home in self._given.values() for holding in home.values()]
        return [holding for holding in given if run is None or f"{holding.run}/".startswith(f"{run}/")]

    def counts(self) -> dict[str, int]:
        """Return how many qubits each node holds."""
        return {node: len(held) for node, held in self._held.items()}

    def reserved(self) -> int:
        """Return how many memories are set aside in the whole lab."""
        return sum(reserved.total() for reserved in self._reserved.values())

    def _home(self, holding: Holding) -> dict[int, Holding]:
        if holding.holder is not None:
            return self._held[holding.holder]
        giver = list(self._given)[holding.qubit % len(self._given)]  # see the class: the id tells
        return self._given[giver]
