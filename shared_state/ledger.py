"""Who holds which qubit, under which run, since when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, Literal, NamedTuple, TypeAlias

from shared_state.errors import LimitExceeded, NoFreeMemory, NoSuchQubit, NotYours, QubitExpired

Place: TypeAlias = Literal["memories", "storage"]
"""The two kinds of memory of a node."""

MAX_HANDED_OVER: Final = 4096
"""Qubits of one node that the referee keeps at a time."""
MAX_EXPIRED: Final = 4096
"""So many qubits of a node that passed a cut-off are remembered; older ones are just gone."""


class Bereavement(NamedTuple):
    """A pair that lost its other half: ``node`` departed, or it kept the half for longer than ``cutoff``; or there
    never was one, for ``link`` was cut before the herald.

    ``since`` is the emulated time from which this can be known at ``node``; a departure has none in the emulated world.
    """

    node: str
    pair: str
    cutoff: float = inf
    since: float = -inf
    link: str = ""


@dataclass(slots=True, eq=False)
class Holding:
    """One qubit in somebody's hands.

    ``qubit`` is the id its holder knows, ``label`` its name in the joint state: the label stays when the
    qubit flies to another node, the id does not. ``touched`` is the emulated time up to which it has aged.
    It lies at ``place`` since ``stored``, and an operation keeps it busy until ``free_from``.
    Of the ``pair`` that it is half of, its first holder knows when it is ``heralded``.
    ``partner`` is the other half of its pair as long as both exist, through swaps; from ``acquainted`` on the
    holder can know who that is. ``holder`` None is the referee.
    """

    label: int
    qubit: int = -1
    holder: str | None = None
    run: str = ""
    touched: float = 0.0
    stored: float = 0.0
    free_from: float = 0.0
    place: Place = "memories"
    pair: str = ""
    heralded: float = -inf
    partner: Holding | None = None
    acquainted: float = -inf
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
        self.heralded, other.heralded = other.heralded, self.heralded
        self.acquainted, other.acquainted = other.acquainted, self.acquainted
        self.bereaved, other.bereaved = other.bereaved, self.bereaved


class Ledger:
    """The holdings of all nodes and of the referee, within the nodes' memory capacities.

    The n nodes take the qubit ids k, k + n, k + 2n, ... for themselves, so an id says to whom it was given.
    That is how a stranger's question is answered without telling what the holder has done since.
    """

    def __init__(self, capacities: Mapping[str, int], storage: Mapping[str, int] | None = None) -> None:
        self._capacities = dict(capacities)
        self._storage = dict(storage or {})
        self._in_storage: Counter[str] = Counter()
        self._expired: dict[str, dict[int, str]] = {node: {} for node in capacities}
        self._next = {node: index for index, node in enumerate(capacities)}
        self._held: dict[str, dict[int, Holding]] = {node: {} for node in capacities}
        self._reserved: dict[str, Counter[str]] = {node: Counter() for node in capacities}
        self._given: dict[str, dict[int, Holding]] = {node: {} for node in capacities}
        self._batched: dict[str, Counter[str]] = {node: Counter() for node in capacities}

    def check_free(self, node: str, count: int = 1) -> None:
        """Raise NoFreeMemory, naming the runs that hold them, unless ``count`` memories of the node are free."""
        reserved, batched = self._reserved[node], self._batched[node]
        if self._used(node) + count <= self._capacities[node]:
            return
        held = [holding for holding in self._held[node].values() if holding.place == "memories"]
        users = Counter(holding.run for holding in held) + batched + reserved
        runs = ", ".join(f"{run!r} ({count})" for run, count in users.items())
        raise NoFreeMemory(
            f"{'all' if count == 1 else f'too many for {count} more of the'} {self._capacities[node]} "
            f"memories of {node} are in use by the runs {runs}, "
            f"{reserved.total()} of them reserved for qubits awaited: measure or discard a qubit first."
        )

    def has_room(self, node: str) -> bool:
        """Tell whether a memory and, where there is storage, a place in it are free."""
        storage = self._storage.get(node)
        return self._used(node) < self._capacities[node] and (
            storage is None or self._in_storage[node] < storage
        )

    def reserve(self, node: str, run: str, count: int = 1) -> None:
        """Set memories aside for qubits that are awaited."""
        self.check_free(node, count)
        self._reserved[node][run] += count

    def release(self, node: str, run: str, count: int = 1) -> None:
        """Take reservations back."""
        self._reserved[node] -= Counter({run: count})

    def enter_batch(self, node: str, run: str, count: int) -> None:
        """Let a batch of halves take up memories that are free."""
        self.check_free(node, count)
        self._batched[node][run] += count

    def leave_batch(self, node: str, run: str, count: int) -> None:
        """Free the memories of a batch."""
        self._batched[node] -= Counter({run: count})

    def enter(self, holding: Holding, node: str, run: str, at: float) -> None:
        """Record a qubit, new or flown in, in a free memory of the node, under a new id."""
        self.check_free(node)
        holding.qubit, holding.holder, holding.run = self._next[node], node, run
        holding.touched = holding.stored = holding.free_from = at
        holding.place = "memories"
        self._next[node] += len(self._capacities)
        self._held[node][holding.qubit] = holding

    def leave(self, holding: Holding) -> None:
        """Free the memory."""
        del self._home(holding)[holding.qubit]
        if holding.holder is not None and holding.place == "storage":
            self._in_storage[holding.holder] -= 1
        holding.holder = None  # whoever it comes to enters it

    def move(self, node: str, holding: Holding, place: Place, at: float) -> None:
        """Note that a qubit goes to the other kind of memory. Raises NoFreeMemory."""
        if place == "memories":
            self.check_free(node)
        elif self._in_storage[node] >= self._storage[node]:
            raise NoFreeMemory(
                f"all {self._storage[node]} storage memories of {node} are in use: "
                "retrieve, measure or discard a stored qubit first."
            )
        self._in_storage[node] += 1 if place == "storage" else -1
        holding.place, holding.stored = place, at

    def expire(self, holding: Holding, node: str, cutoff: float) -> QubitExpired:
        """Free the memory of a qubit that was kept for too long; return the error for who asks for it."""
        message = (
            f"qubit {holding.qubit} of {node}{f', half of pair {holding.pair},' if holding.pair else ''} was "
            f"discarded: the cut-off of its memory, {cutoff:g} s, has passed."
        )
        self.leave(holding)
        expired = self._expired[node]
        expired[holding.qubit] = message
        if len(expired) > MAX_EXPIRED:
            del expired[next(iter(expired))]
        return QubitExpired(message, node=node)

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
            given[holding.qubit] = holding

    def held_by(self, node: str, qubit: int) -> Holding:
        """Return the node's holding of this id.

        Raises:
            NotYours: the id was never given to this node.
            NoSuchQubit: it was, and the qubit has left since.
            QubitExpired: its memory's cut-off has passed.
        """
        holding = self._held[node].get(qubit)
        if holding is not None:
            return holding
        if qubit in self._expired[node]:
            raise QubitExpired(self._expired[node][qubit], node=node)
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
        return {node: len(held) + self._batched[node].total() for node, held in self._held.items()}

    def reserved(self) -> int:
        """Return how many memories are set aside in the whole lab."""
        return sum(reserved.total() for reserved in self._reserved.values())

    def _used(self, node: str) -> int:
        """Count the memories of the node that hold a qubit or wait for one, storage aside."""
        others = self._batched[node].total() + self._reserved[node].total()
        return len(self._held[node]) - self._in_storage[node] + others

    def _home(self, holding: Holding) -> dict[int, Holding]:
        if holding.holder is not None:
            return self._held[holding.holder]
        giver = list(self._given)[holding.qubit % len(self._given)]  # see the class: the id tells
        return self._given[giver]
