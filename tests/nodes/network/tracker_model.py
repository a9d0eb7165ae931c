"""A model world for the trackers of a circuit: Nature, channels and memories without time, where anything may be next.

Nature makes a pair as soon as both ends of a link have a place for it. Then, each in its own time and in any order:
either end is told of it (a link heralds in one order at both ends), the oldest message of a channel arrives, an
operation ends well or badly, a cut-off passes, a memory loses its half. Nature knows who is entangled with whom and in
which Pauli frame. A frame is a sum of symbols, as every swap has two bits of its own: one that is right here is right
for all outcomes. Every instruction is checked against that, and the whole when nothing is on its way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, fields
from math import inf
from typing import Any, NamedTuple, TypeAlias

from nodes.network.circuit import Circuit, Side, ladder
from nodes.network.frames import Frame, after_purification, twirled
from nodes.network.halves import Half as TrackedHalf
from nodes.network.halves import State
from nodes.network.tidings import Deliver, Discard, Free, Instruction, Purify, Send, Swap, Tiding, WatchOver
from nodes.network.tracker import Tracker

Half: TypeAlias = tuple[int, str]
"""A node's position and the pair's id there."""
Event: TypeAlias = tuple[str | int, ...]
"""What happens: the name of a method of ``World`` and its arguments."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What may happen: so many ``pairs`` on every link, ``places`` on each side of a node. ``cutoffs`` and ``losses``:
    positions at which the cut-off of a half may pass at any moment, or a memory may lose it."""

    circuit: Circuit
    pairs: float = 1
    places: int = 1
    limit: float = inf
    cutoffs: tuple[int, ...] = ()
    losses: tuple[int, ...] = ()
    noise: bool = False
    """Purifications may fail."""


class Bond(NamedTuple):
    """A half in Nature: its true partner (None: gone), the true frame, and the time of its oldest link's pair."""

    partner: Half | None
    frame: Frame
    born: float


class Minds:
    """The trackers of a circuit: one for each node, by its number.

    With ``memory`` one for everything that a node can come to know, so that worlds can be compared, and nobody has the
    same thought twice.
    """

    def __init__(self, rules: Rules, *, memory: bool = False) -> None:
        self.rules = rules
        self.memory = memory
        self.trackers: list[Tracker] = []
        self._numbers: dict[Hashable, int] = {}
        self._thoughts: dict[Hashable, tuple[int, tuple[Instruction, ...]]] = {}
        self._symbols: dict[Hashable, int] = {}
        self._components: dict[Hashable, int] = {}
        last = rules.circuit.last
        for here in range(last + 1):
            self._number(Tracker(rules.circuit, here, rules.limit if here in (0, last) else inf))

    def tell(self, number: int, event: tuple[Any, ...]) -> tuple[int, tuple[Instruction, ...]]:
        """Return what a tracker knows after an event, and what it wants done."""
        if not self.memory:
            return number, _told(self.trackers[number], event)
        thought = self._thoughts.get((number, event))
        if thought is None:
            twin = _twin(self.trackers[number])
            instructions = _told(twin, event)
            thought = self._thoughts[number, event] = self._number(twin), instructions
        return thought

    def outcome(self, here: int, swap: Swap) -> Frame:
        """Return the outcome of a Bell measurement: two symbols of its own."""
        symbol = self._symbols.setdefault((here, swap), len(self._symbols) + 1)
        return 1 << 2 * symbol, 2 << 2 * symbol

    def component(self, part: Hashable) -> int:
        """Return a number for a part of a world's state."""
        return self._components.setdefault(part, len(self._components))

    def _number(self, tracker: Tracker) -> int:
        number = self._numbers.setdefault(_state(tracker), len(self.trackers))
        if number == len(self.trackers):
            self.trackers.append(tracker)
        return number


class World:
    """The trackers, what is on its way between them, and Nature. ``story``: what has happened, the newest first."""

    _mutable = ("knows", "care", "made", "heralded", "channels", "nature", "operations", "spent")

    def __init__(self, rules: Rules, *, memory: bool = False) -> None:
        self.rules = rules
        self.circuit = rules.circuit
        self.minds = Minds(rules, memory=memory)
        self.story: tuple[Event, Any] | None = None
        nodes = len(self.circuit.path)
        self.knows = list(range(nodes))
        self.care: list[frozenset[tuple[str, Side]]] = [frozenset()] * nodes
        self.made = [0] * (nodes - 1)
        self.heralded: dict[tuple[int, Side], int] = {}
        for link in range(nodes - 1):
            self.heralded[link, "right"] = self.heralded[link + 1, "left"] = 0
        self.channels: dict[tuple[int, int], tuple[Tiding, ...]] = {}
        self.nature: dict[Half, Bond] = {}
        self.operations: dict[Half, Swap | Purify] = {}
        self.spent: dict[Half, tuple[Half, int]] = {}
        self.delivered: frozenset[tuple[int, str, Frame, float]] = frozenset()
        self.watched: frozenset[Half] = frozenset()
        self.lost: frozenset[Half] = frozenset()
        self._make()

    def copy(self) -> World:
        twin = World.__new__(World)
        twin.__dict__ |= self.__dict__
        for name in self._mutable:
            twin.__dict__[name] = self.__dict__[name].copy()
        return twin

    def key(self) -> Hashable:
        """Return what tells this world from others with the same minds."""
        number = self.minds.component
        rest = frozenset(self.spent.items()), self.delivered, self.watched, self.lost
        parts = [number(frozenset(part.items())) for part in (self.channels, self.nature, self.operations)]
        return (*self.knows, *self.made, *self.heralded.values(), *parts, number(rest))

    # what may be next

    def events(self) -> list[Event]:
        """List what may happen next."""
        events: list[Event] = [("hear", *channel) for channel in self.channels]
        events += [("herald", *end) for end in self.heralded if self._coming(*end)]
        events += [
            ("end", here, pair, how)
            for (here, pair), operation in self.operations.items()
            for how in self._ways(here, operation)
        ]
        events += [("overdue", *half) for half in self.watched]
        for here in self.rules.losses:
            busy = {pair for (node, _), what in self.operations.items() if node == here for pair in _of(what)}
            events += [("lose", here, pair) for pair, _ in self.care[here] if pair not in busy]
        return events

    def _coming(self, here: int, side: Side) -> int:
        """Count the pairs of the link on a side of which the node has not heard."""
        return self.made[here if side == "right" else here - 1] - self.heralded[here, side]

    def _ways(self, here: int, operation: Swap | Purify) -> Iterator[str]:
        """Name the ways in which an operation can end."""
        yield "well"
        if isinstance(operation, Purify) and self.rules.noise:
            if operation.left:
                yield "noise"
            elif operation.protocol == "epl":
                yield "zeros"
        if here in self.rules.losses:
            yield "badly"

    def do(self, event: Event) -> None:
        """Let an event happen."""
        self.story = event, self.story
        getattr(self, str(event[0]))(*event[1:])

    def told(self) -> str:
        """Tell what has happened, one event a line, the oldest first."""
        events, story = [], self.story
        while story is not None:
            event, story = story
            events.append(" ".join(map(str, event)))
        return "\n".join(reversed(events))

    def settle(self) -> None:
        """Let happen, in some order, what must happen at some time; check what must be true then."""
        while events := [event for event in self.events() if event[0] not in ("overdue", "lose")]:
            self.do(events[0])
        self.check_quiet()

    def hear(self, sender: int, recipient: int) -> Tiding:
        """Let the oldest message from one node to another arrive; return it."""
        tiding, *rest = self.channels.pop((sender, recipient))
        if rest:
            self.channels[sender, recipient] = tuple(rest)
        self.tell(recipient, "received", sender, tiding)
        return tiding

    def herald(self, here: int, side: Side) -> str:
        """Tell a node of the oldest pair of the link on its side of which it has not heard; return its id."""
        assert self._coming(here, side)
        pair = f"{here if side == 'right' else here - 1}/{self.heralded[here, side]}"
        self.heralded[here, side] += 1
        self.care[here] |= {(pair, side)}
        self.tell(here, "heralded", side, pair, self.nature[here, pair].born)
        return pair

    def end(self, here: int, pair: str, how: str = "well") -> None:
        """End an operation, named by its node and its left or kept half."""
        operation = self.operations.pop((here, pair))
        one, other = _of(operation)
        if how == "badly":
            for half in (one, other):
                self._take(here, half)
            self.tell(here, "swap_failed" if isinstance(operation, Swap) else "spoilt", one, other)
        elif isinstance(operation, Swap):
            self.tell(here, "swapped", one, other, *self._bell_measure(here, operation))
        else:
            self.tell(here, "measured", one, other, self._purify(here, operation, how))

    def overdue(self, here: int, pair: str) -> None:
        """Let the cut-off of a half pass."""
        self.watched -= {(here, pair)}
        self.tell(here, "overdue", pair)

    def lose(self, here: int, pair: str) -> None:
        """Let a memory lose a half that waits there."""
        partner = self._take(here, pair).partner
        if here in (0, self.circuit.last):
            self.lost |= {half for half in ((here, pair), partner) if half is not None}
        self.tell(here, "lost", pair)

    # Nature

    def _make(self) -> None:
        """Make a pair wherever there is a place for it at both ends of a link."""
        for link, made in enumerate(self.made):
            if made >= self.rules.pairs:
                continue
            room = min(self._room(link, "right"), self._room(link + 1, "left"), self.rules.pairs - made)
            for _ in range(int(room)):
                number = self.made[link]
                pair, born = f"{link}/{number}", number + link / 16
                self.nature[link, pair] = Bond((link + 1, pair), (0, 0), born)
                self.nature[link + 1, pair] = Bond((link, pair), (0, 0), born)
                self.made[link] += 1

    def _room(self, here: int, side: Side) -> int:
        """Count the places that are neither in use nor promised to a pair that is there already."""
        held = sum(1 for _, where in self.care[here] if where == side)
        return self.rules.places - held - self._coming(here, side)

    def _take(self, here: int, pair: str) -> Bond:
        """Take a half out of Nature; its partner's is gone then."""
        self.spent.pop((here, pair), None)
        bond = self.nature.pop((here, pair))
        if bond.partner is not None:
            theirs = self.nature[bond.partner]
            self.nature[bond.partner] = Bond(None, theirs.frame, theirs.born)
        return bond

    def _bell_measure(self, here: int, swap: Swap) -> Frame:
        left, right = self._take(here, swap.left), self._take(here, swap.right)
        x, z = self.minds.outcome(here, swap)
        frame = left.frame[0] ^ right.frame[0] ^ x, left.frame[1] ^ right.frame[1] ^ z
        for one, other in ((left.partner, right.partner), (right.partner, left.partner)):
            if one is not None:
                self.nature[one] = Bond(other, frame, min(left.born, right.born))
        if (here, swap.left) in self.lost and right.partner is not None:
            self.lost |= {right.partner}
        return x, z

    def _purify(self, here: int, purify: Purify, how: str) -> int:
        """Do one end's part. The right end measures first; only when both have is the parity of the outcomes known."""
        kept = here, purify.kept
        mine = self.nature[kept]
        if purify.left:
            partner, bit = self.spent.get((here, purify.spent), (None, 0))
            self._take(here, purify.spent)
            assert mine.partner in (None, partner), "the ends purify different pairs"
            return bit ^ (how == "noise")
        spent = self._take(here, purify.spent)
        bit = int(purify.protocol == "epl" and how != "zeros")
        turned = [twirled(bond.frame, often) for bond, often in zip((mine, spent), purify.turns, strict=True)]
        frame, flipped = after_purification(purify.protocol, turned[0], turned[1])
        if mine.partner is not None and spent.partner is not None:
            self.nature[kept] = Bond(mine.partner, frame, mine.born)
            self.nature[mine.partner] = Bond(kept, frame, self.nature[mine.partner].born)
            self.spent[spent.partner] = kept, bit
        return bit ^ flipped

    # what the trackers want

    def tell(self, here: int, *event: Any) -> tuple[Instruction, ...]:
        """Tell a tracker of an event and do what it wants; return that."""
        self.knows[here], instructions = self.minds.tell(self.knows[here], event)
        for instruction in instructions:
            self._follow(here, instruction)
        self._make()
        assert {pair for pair, _ in self.care[here]} == set(self.tracker(here).held())
        return instructions

    def tracker(self, here: int) -> Tracker:
        return self.minds.trackers[self.knows[here]]

    def _follow(self, here: int, instruction: Instruction) -> None:
        match instruction:
            case Send(position, tiding):
                assert position != here
                self.channels[here, position] = (*self.channels.get((here, position), ()), tiding)
            case WatchOver(pair):
                if here in self.rules.cutoffs:
                    self.watched |= {(here, pair)}
            case Discard(pair):
                self._check_idle(here, pair)
                self._take(here, pair)
            case Free(pair, side):
                assert (here, pair) not in self.nature, "a place is free whose half is still there"
                self._let_go(here, pair, side)
            case Swap(left, right):
                self._check_idle(here, left, right)
                assert {(left, "left"), (right, "right")} <= self.care[here]
                self.operations[here, left] = instruction
            case Purify(kept, spent):
                self._check_idle(here, kept, spent)
                side = "right" if instruction.left else "left"
                assert {(kept, side), (spent, side)} <= self.care[here]
                self.operations[here, kept] = instruction
            case Deliver():
                self._check_idle(here, instruction.pair)
                self._deliver(here, instruction)

    def _let_go(self, here: int, pair: str, side: Side) -> None:
        assert (pair, side) in self.care[here], "a place is free twice"
        self.care[here] -= {(pair, side)}
        self.watched -= {(here, pair)}

    def _check_idle(self, here: int, *pairs: str) -> None:
        """Check that halves are there, and that nothing is done with them."""
        busy = {pair for (node, _), what in self.operations.items() if node == here for pair in _of(what)}
        assert not busy & set(pairs), "two things are done with one half at once"
        assert all((here, pair) in self.nature for pair in pairs)

    def _deliver(self, here: int, delivery: Deliver) -> None:
        """Check a delivery: the true partner is the other end's half of that name, in that frame."""
        self._let_go(here, delivery.pair, "left" if here else "right")
        half = here, delivery.pair
        bond = self.nature[half]
        assert bond.frame == (delivery.x, delivery.z), "the frame is not the true one"
        assert bond.born == delivery.born, "the pair is older or younger than is said"
        if bond.partner is None:
            assert half in self.lost, "the partner is gone, though the other end's memory has not lost it"
        else:
            head, tail = (half, bond.partner) if here == 0 else (bond.partner, half)
            assert head == (0, delivery.name)
            assert tail[0] == self.circuit.last
        mine = {name for node, name, *_ in self.delivered if node == here}
        assert delivery.name not in mine, "a pair is delivered twice"
        assert len(mine) < self.rules.limit, "more pairs than the limit"
        self.delivered |= {(here, delivery.name, bond.frame, bond.born)}

    # what must be true when nothing is on its way

    def is_quiet(self) -> bool:
        """Tell whether nothing happens any more, unless a cut-off passes or a half is lost."""
        return not (self.channels or self.operations or any(self._coming(*end) for end in self.heralded))

    def names(self, here: int) -> set[str]:
        """Return the names of the pairs that were delivered at an end."""
        return {name for node, name, *_ in self.delivered if node == here}

    def check_quiet(self) -> None:
        """Check that no half waits for one that is gone, that both ends of a segment know what they share, that both
        ends of the circuit have the same pairs, and that what can be done has been done."""
        assert self.is_quiet()
        for here, held in enumerate(self.care):
            for pair, _ in held:
                partner = self.nature[here, pair].partner
                assert partner is not None, f"{pair} waits at {here} though its partner is gone"
                holders = {name for name, _ in self.care[partner[0]]}
                assert partner[1] in holders, f"{pair} waits at {here} for what {partner[0]} has given away"
                self._check_known(here, pair, partner)
        tail = self.circuit.last
        assert self.names(0) == self.names(tail) or self.lost, "a pair is delivered at one end only"
        assert len({record[1:] for record in self.delivered}) == len(self.names(0) | self.names(tail))
        for here in range(1, tail):
            tracker = self.tracker(here)
            ready = {side for pair, side in self.care[here] if tracker._ready(tracker._halves[pair])}
            assert len(ready) < 2, f"{here} does not swap what it could"

    def _check_known(self, here: int, pair: str, partner: Half) -> None:
        """Check what is known of a half, unless some stops of the segment have swapped and others have not."""
        known = self.tracker(here)._halves[pair]
        assert known.state is State.SHARED
        if any(partner[0] in segment.ends for segment in ladder(self.circuit, here, known.side)):
            assert known.partner == partner[1], f"{pair} at {here} is another half's partner than is believed"
            assert (known.x, known.z) == self.nature[here, pair].frame, "the frame is not as is believed"


def chain(links: int, levels: Sequence[int] = (), **rest: Any) -> Circuit:
    """Return a circuit over so many links, with a cut-off unless it is told otherwise."""
    path = tuple("abcdefghijkl"[: links + 1])
    rest = {"cutoff": 1.0} | rest
    return Circuit("circuit", "request", path, tuple(map(str, range(links))), tuple(levels), **rest)


def _of(operation: Swap | Purify) -> tuple[str, str]:
    """Return the halves that take part in an operation."""
    return (
        (operation.left, operation.right)
        if isinstance(operation, Swap)
        else (operation.kept, operation.spent)
    )


def _told(tracker: Tracker, event: tuple[Any, ...]) -> tuple[Instruction, ...]:
    name, *arguments = event
    return tuple(getattr(tracker, name)(*arguments))


def _twin(tracker: Tracker) -> Tracker:
    """Copy a tracker with all that it knows."""
    twin = copy(tracker)
    for name, value in vars(tracker).items():
        if isinstance(value, dict):
            setattr(twin, name, {key: _twin_item(item) for key, item in value.items()})
        elif isinstance(value, deque):
            setattr(twin, name, copy(value))
    return twin


def _twin_item(item: object) -> object:
    twin = copy(item)
    if isinstance(twin, TrackedHalf):
        twin.skipped = twin.skipped[:]
    return twin


def _state(tracker: Tracker) -> Hashable:
    """Return all that a tracker knows. The order in which halves have left matters only if there are too many."""
    values = {name: value for name, value in vars(tracker).items() if name not in ("circuit", "_ladders")}
    if max(len(tracker._gone), len(tracker._swapped)) < tracker._most:
        values |= {"_gone": frozenset(tracker._gone), "_swapped": frozenset(tracker._swapped)}
    return tuple(map(_frozen, values.values()))


def _frozen(value: object) -> Hashable:
    match value:
        case dict():
            return tuple((key, _frozen(item)) for key, item in value.items())
        case deque() | list():
            return tuple(value)
        case TrackedHalf():
            return tuple(_frozen(getattr(value, field.name)) for field in fields(value))
    assert isinstance(value, Hashable)
    return value
