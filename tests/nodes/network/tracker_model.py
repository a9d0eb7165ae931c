"""A model world for the trackers of one circuit: Nature, channels and memories without time, in which anything may be next.

What happens is an ``Event``. Nature makes a pair as soon as both ends of a link have a place for it; then, each in its
own time and in any order: either end is told of it (a link heralds in one order at both ends), the oldest message of a
channel arrives, an operation ends well or badly, a cut-off passes, a memory loses its half. Nature knows who is entangled
with whom and in which Pauli frame, as a sum of symbols: every swap has two bits of its own, so that a frame that is right
here is right for all outcomes. Every instruction is checked against that, and so is the whole when nothing is on its way.

The state of a world is a value: ``World.key`` tells worlds apart, ``explore`` visits all that can come about.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, fields, is_dataclass
from math import inf
from typing import TypeAlias

from nodes.network.circuit import Circuit, Side, ladder
from nodes.network.frames import Frame, after_purification
from nodes.network.tidings import (
    Deliver,
    Discard,
    Free,
    Instruction,
    Purify,
    Send,
    Swap,
    Tiding,
    WatchOver,
)
from nodes.network.tracker import State, Tracker, _Half

Half: TypeAlias = tuple[int, str]
"""A node's position and the pair's id there."""
Event: TypeAlias = tuple[str | int | bool, ...]
Told: TypeAlias = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Bond:
    """What Nature knows of a half: its true partner (None: gone), the true frame, and the time of its oldest link pair."""

    partner: Half | None
    frame: Frame
    born: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What may happen: ``pairs`` on every link at most, ``places`` on each side of a node; ``cutoffs`` may pass at any
    moment, memories may have ``losses`` at some positions, and the outcomes of purifications ``noise``."""

    circuit: Circuit
    pairs: float = 1
    places: int = 1
    limit: float = inf
    cutoffs: bool = False
    losses: tuple[int, ...] = ()
    noise: bool = False


class Minds:
    """The trackers of a circuit, by number of what they know: nobody thinks the same thought twice."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.components: dict[Hashable, int] = {}
        self._trackers: list[Tracker] = []
        self._numbers: dict[Hashable, int] = {}
        self._told: dict[tuple[int, Told], tuple[int, tuple[Instruction, ...]]] = {}
        self._symbols: dict[tuple[int, str, str], int] = {}
        last = rules.circuit.last
        self.first = tuple(
            self._number(Tracker(rules.circuit, here, rules.limit if here in (0, last) else inf))
            for here in range(last + 1)
        )

    def tell(self, number: int, event: Told) -> tuple[int, tuple[Instruction, ...]]:
        """Return what the tracker knows after an event, and what it wants done."""
        known = self._told.get((number, event))
        if known is None:
            twin = _twin(self._trackers[number])
            instructions = tuple(getattr(twin, str(event[0]))(*event[1:]))
            known = self._told[number, event] = self._number(twin), instructions
        return known

    def tracker(self, number: int) -> Tracker:
        return self._trackers[number]

    def outcome(self, here: int, left: str, right: str) -> Frame:
        """Return the outcome of a Bell measurement: two symbols of its own."""
        symbol = self._symbols.setdefault((here, left, right), len(self._symbols) + 1)
        return 1 << 2 * symbol, 2 << 2 * symbol

    def number(self, component: Hashable) -> int:
        """Return a number for a part of a world's state."""
        return self.components.setdefault(component, len(self.components))

    def _number(self, tracker: Tracker) -> int:
        state = _state(tracker)
        if state not in self._numbers:
            self._numbers[state] = len(self._trackers)
            self._trackers.append(tracker)
        return self._numbers[state]


class World:
    """The trackers, what is on its way between them, and Nature. ``history``: the events that led here, newest first."""

    def __init__(self, minds: Minds) -> None:
        self.minds = minds
        self.rules = minds.rules
        self.circuit = minds.rules.circuit
        self.history: tuple[Event, object] | None = None
        self.knows = list(minds.first)
        self.channels: dict[tuple[int, int], tuple[Tiding, ...]] = {}
        self.heralds: dict[tuple[int, Side], tuple[str, ...]] = {}
        self.made = [0] * len(self.circuit.links)
        self.nature: dict[Half, Bond] = {}
        self.care: dict[Half, Side] = {}
        self.operations: dict[Half, Swap | Purify] = {}
        self.watched: frozenset[Half] = frozenset()
        self.spent: dict[Half, tuple[Half, int]] = {}
        self.delivered: dict[tuple[int, str], tuple[Frame, float]] = {}
        self.lost: frozenset[Half] = frozenset()
        """Halves that an end's memory has lost, and those that are alone for it."""
        self._make()

    def copy(self) -> World:
        twin = copy(self)
        twin.knows, twin.made = self.knows[:], self.made[:]
        twin.channels, twin.heralds, twin.nature = self.channels.copy(), self.heralds.copy(), self.nature.copy()
        twin.care, twin.operations, twin.spent = self.care.copy(), self.operations.copy(), self.spent.copy()
        twin.delivered = self.delivered.copy()
        return twin

    def key(self) -> Hashable:
        """Return what tells this world from others."""
        parts = self.channels, self.heralds, self.nature, self.operations, self.spent, self.delivered
        numbers = [self.minds.number(frozenset(part.items())) for part in parts]
        return (*self.knows, *self.made, *numbers, self.minds.number((self.watched, self.lost)))

    # what may be next

    def events(self) -> list[Event]:
        """List what may happen next."""
        busy: set[Half] = set()
        events: list[Event] = [("hear", *channel) for channel in self.channels]
        events += [("herald", *end) for end in self.heralds]
        for (here, pair), operation in self.operations.items():
            busy |= {(here, pair), (here, operation.right if isinstance(operation, Swap) else operation.spent)}
            events += [("end", here, pair, which) for which in self._ways(here, operation)]
        events += [("overdue", *half) for half in self.watched if half in self.care]
        events += [
            ("lose", *half) for half in self.care if half[0] in self.rules.losses and half not in busy
        ]
        return events

    def _ways(self, here: int, operation: Swap | Purify) -> Iterable[str]:
        """Name the ways in which an operation can end."""
        yield "well"
        if isinstance(operation, Purify):
            if operation.left and self.rules.noise:
                yield "noise"
            if not operation.left and operation.protocol == "epl" and self.rules.noise:
                yield "zeros"
        if here in self.rules.losses:
            yield "badly"

    def do(self, event: Event) -> None:
        """Let an event happen, and check all that follows at once."""
        self.history = event, self.history
        match event:
            case "hear", int(sender), int(recipient):
                self.hear(sender, recipient)
            case "herald", int(here), ("left" | "right") as side:
                self.herald(here, side)
            case "end", int(here), str(pair), str(how):
                self.end(here, pair, how)
            case "overdue", int(here), str(pair):
                self.overdue(here, pair)
            case "lose", int(here), str(pair):
                self.lose(here, pair)
            case _:
                raise AssertionError(event)

    def hear(self, sender: int, recipient: int) -> Tiding:
        """Let the oldest message from one node to another arrive; return it."""
        tiding, *rest = self.channels.pop((sender, recipient))
        if rest:
            self.channels[sender, recipient] = tuple(rest)
        self.tell(recipient, "received", sender, tiding)
        return tiding

    def herald(self, here: int, side: Side) -> str:
        """Tell a node of the oldest pair of the link on its side of which it has not heard; return its id."""
        pair, *rest = self.heralds.pop((here, side))
        if rest:
            self.heralds[here, side] = tuple(rest)
        self.care[here, pair] = side
        self.tell(here, "heralded", side, pair, self.nature[here, pair].born)
        return pair

    def end(self, here: int, pair: str, how: str = "well") -> None:
        """End an operation, by its node and the left or kept half: well, badly, or with noise in an outcome."""
        operation = self.operations.pop((here, pair))
        if isinstance(operation, Swap):
            self._end_swap(here, operation, how)
        else:
            self._end_purify(here, operation, how)

    def _end_swap(self, here: int, swap: Swap, how: str) -> None:
        left, right = self._take((here, swap.left)), self._take((here, swap.right))
        if how == "badly":
            self._widow(left.partner)
            self._widow(right.partner)
            self.tell(here, "swap_failed", swap.left, swap.right)
            return
        x, z = self.minds.outcome(here, swap.left, swap.right)
        frame = left.frame[0] ^ right.frame[0] ^ x, left.frame[1] ^ right.frame[1] ^ z
        for one, other in ((left.partner, right.partner), (right.partner, left.partner)):
            if one is not None:
                self.nature[one] = Bond(other, frame, min(left.born, right.born))
        if (here, swap.left) in self.lost and right.partner is not None:
            self.lost |= {right.partner}
        self.tell(here, "swapped", swap.left, swap.right, x, z)

    def _end_purify(self, here: int, purify: Purify, how: str) -> None:
        kept, spent = (here, purify.kept), (here, purify.spent)
        if how == "badly":
            for half in (kept, spent):
                self._widow(self._take(half).partner)
            self.tell(here, "spoilt", *purify_names(purify))
            return
        partner, bit = self.spent.pop(spent, (None, 0))
        gone = self._take(spent)
        other = self.nature[kept].partner
        if not purify.left:  # the right end is the first to measure
            frame, flipped = after_purification(purify.protocol, self.nature[kept].frame, gone.frame)
            theirs = int(purify.protocol == "epl" and how != "zeros")
            bit = theirs ^ flipped
            if other is not None and gone.partner is not None:
                self.nature[kept] = Bond(other, frame, self.nature[kept].born)
                self.nature[other] = Bond(kept, frame, self.nature[other].born)
                self.spent[gone.partner] = kept, theirs
            self._widow(gone.partner)
        else:
            assert other is None or other == partner, "an end purifies other pairs than the other end"
            bit ^= how == "noise"
        self.tell(here, "measured", *purify_names(purify), bit)

    def overdue(self, here: int, pair: str) -> None:
        """Let the cut-off of a half pass."""
        self.watched -= {(here, pair)}
        self.tell(here, "overdue", pair)

    def lose(self, here: int, pair: str) -> None:
        """Let a memory lose a half that waits there."""
        partner = self._take((here, pair)).partner
        self._widow(partner)
        if here in (0, self.circuit.last):
            self.lost |= {half for half in ((here, pair), partner) if half is not None}
        self.tell(here, "lost", pair)

    def _take(self, half: Half) -> Bond:
        """Take a half out of Nature."""
        self.spent.pop(half, None)
        return self.nature.pop(half)

    def _widow(self, half: Half | None) -> None:
        """Let the partner of a half be gone."""
        if half is not None:
            bond = self.nature[half]
            self.nature[half] = Bond(None, bond.frame, bond.born)

    # what the trackers want

    def tell(self, here: int, *event: Hashable) -> tuple[Instruction, ...]:
        """Tell a tracker of an event and do what it wants; return that."""
        self.knows[here], instructions = self.minds.tell(self.knows[here], event)
        for instruction in instructions:
            self._follow(here, instruction)
        self._make()
        held = set(self.minds.tracker(self.knows[here]).held())
        assert held == {pair for node, pair in self.care if node == here}, "a tracker's halves are not its node's"
        return instructions

    def _follow(self, here: int, instruction: Instruction) -> None:
        match instruction:
            case Send(position, tiding):
                assert position != here
                self.channels[here, position] = (*self.channels.get((here, position), ()), tiding)
            case WatchOver(pair):
                assert (here, pair) in self.care
                if self.rules.cutoffs:
                    self.watched |= {(here, pair)}
            case Discard(pair):
                assert (here, pair) in self.care
                self._check_idle(here, pair)
                self._widow(self._take((here, pair)).partner)
            case Free(pair, side):
                assert (here, pair) not in self.nature, "a place is free whose half is still there"
                assert self.care.pop((here, pair)) == side
                self.watched -= {(here, pair)}
            case Swap(left, right):
                self._check_idle(here, left, right)
                assert (self.care[here, left], self.care[here, right]) == ("left", "right")
                self.operations[here, left] = instruction
            case Purify(kept, spent):
                self._check_idle(here, kept, spent)
                assert self.care[here, kept] == self.care[here, spent]
                self.operations[here, kept] = instruction
            case Deliver():
                self._deliver(here, instruction)

    def _check_idle(self, here: int, *pairs: str) -> None:
        for node, operation in self.operations.items():
            names = purify_names(operation) if isinstance(operation, Purify) else (operation.left, operation.right)
            assert node[0] != here or not set(names) & set(pairs), "two things are done with one half at once"
        assert all((here, pair) in self.care and (here, pair) in self.nature for pair in pairs)

    def _deliver(self, here: int, delivery: Deliver) -> None:
        """Check a delivery: the partner is the other end's half of the same name, in the frame that is said."""
        half = here, delivery.pair
        self._check_idle(here, delivery.pair)
        del self.care[half]
        bond = self.nature[half]
        assert bond.frame == (delivery.x, delivery.z), "the frame is not the true one"
        assert bond.born == delivery.born, "the pair is older or younger than is said"
        if here == 0:
            assert delivery.name == delivery.pair, "the name is not the head's"
        if bond.partner is None:
            assert half in self.lost, "the partner is gone, though the other end's memory has not lost it"
        elif here == 0:
            assert bond.partner[0] == self.circuit.last, "the partner is not at the tail"
        else:
            assert bond.partner == (0, delivery.name), "the partner has another name"
        assert (here, delivery.name) not in self.delivered, "a pair is delivered twice"
        self.delivered[here, delivery.name] = bond.frame, bond.born
        assert sum(node == here for node, _ in self.delivered) <= self.rules.limit, "more pairs than the limit"

    def _make(self) -> None:
        """Let Nature make a pair wherever there is a place for it at both ends of a link."""
        for link in range(len(self.made)):
            while self.made[link] < self.rules.pairs and self._room(link, "right") and self._room(link + 1, "left"):
                pair = f"{link}/{self.made[link]}"
                born = float(self.made[link] + link / 16)
                self.made[link] += 1
                for here, side, other in ((link, "right", link + 1), (link + 1, "left", link)):
                    self.nature[here, pair] = Bond((other, pair), (0, 0), born)
                    self.heralds[here, _side(side)] = (*self.heralds.get((here, _side(side)), ()), pair)

    def _room(self, here: int, side: Side) -> bool:
        held = sum(1 for (node, _), where in self.care.items() if node == here and where == side)
        return held + len(self.heralds.get((here, side), ())) < self.rules.places

    # what must be true

    def is_quiet(self) -> bool:
        """Tell whether nothing is on its way, so that nothing happens unless a cut-off passes or a half is lost."""
        return not (self.channels or self.heralds or self.operations)

    def pairs_delivered(self) -> int:
        """Count the pairs that both ends have."""
        return sum(1 for here, name in self.delivered if here == 0 and (self.circuit.last, name) in self.delivered)

    def check_quiet(self) -> None:
        """Check what must be true when nothing is on its way."""
        last = self.circuit.last
        for half in self.care:
            partner = self.nature[half].partner
            assert partner is not None, f"{half} waits though its partner is gone"
            assert partner in self.care, f"{half} waits though its partner {partner} is not its node's any more"
            if half[0] < partner[0]:
                self._check_known(half, partner)
        for here, name in self.delivered:
            other = last - here
            one_sided = (other, name) not in self.delivered
            assert not one_sided or self.lost, f"{name} is delivered at {here} only"
            if (other, name) in self.delivered:
                assert self.delivered[here, name] == self.delivered[other, name]
        for here in range(1, last):
            ready = {side for node, side, fit in self._waiting() if node == here and fit}
            assert ready != {"left", "right"}, f"{here} does not swap what it could"

    def _check_known(self, left: Half, right: Half) -> None:
        """Check that both ends of a segment know what they share, and in which frame."""
        rungs = ladder(self.circuit, left[0], "right")
        rung = next((rung for rung, segment in enumerate(rungs) if segment.ends[1] == right[0]), None)
        for half, partner in ((left, right), (right, left)):
            known = self.minds.tracker(self.knows[half[0]])._halves[half[1]]
            if rung is None:  # some stops of a segment have swapped and others not
                continue
            assert known.partner == partner[1], f"{half} shares with {partner}, and believes {known.partner}"
            assert (known.x, known.z) == self.nature[half].frame, f"{half} has another frame than it believes"
            assert known.state is State.SHARED

    def _waiting(self) -> Iterable[tuple[int, Side, bool]]:
        for (here, pair), side in self.care.items():
            tracker = self.minds.tracker(self.knows[here])
            yield here, side, tracker._ready(tracker._halves[pair])

    def story(self) -> str:
        """Tell what has happened, oldest first."""
        events, history = [], self.history
        while history is not None:
            event, history = history  # type: ignore[assignment]
            events.append(" ".join(map(str, event)))
        return "\n".join(reversed(events))


@dataclass(slots=True)
class Explored:
    """What ``explore`` has visited: states, ways from one to the next, states in which nothing is on its way and in
    which nothing more can happen, and how many pairs were delivered at best and at worst by then."""

    states: int = 0
    steps: int = 0
    quiet: int = 0
    ends: int = 0
    least: int = 1 << 30
    most: int = 0


def explore(rules: Rules) -> Explored:
    """Visit every state that can come about, by every order of events, and check each."""
    first = world = World(Minds(rules))
    seen, stack, explored = {first.key()}, [first], Explored()
    while stack:
        before = world = stack.pop()
        explored.states += 1
        events = world.events()
        try:
            if world.is_quiet():
                explored.quiet += 1
                world.check_quiet()
            if not events:
                explored.ends += 1
                explored.least = min(explored.least, world.pairs_delivered())
                explored.most = max(explored.most, world.pairs_delivered())
            for event in events:
                world = before.copy()
                world.do(event)
                explored.steps += 1
                key = world.key()
                if key not in seen:
                    seen.add(key)
                    stack.append(world)
        except Exception as error:
            error.add_note(world.story())
            raise
    return explored


def purify_names(purify: Purify) -> tuple[str, str]:
    """Return the kept and the spent half."""
    return purify.kept, purify.spent


def _side(name: str) -> Side:
    return "left" if name == "left" else "right"


def _twin(tracker: Tracker) -> Tracker:
    """Copy a tracker: what it knows, not what it is."""
    twin = copy(tracker)
    for name, value in vars(tracker).items():
        if isinstance(value, dict):
            setattr(twin, name, {key: _twin_half(item) for key, item in value.items()})
        elif isinstance(value, deque):
            setattr(twin, name, copy(value))
    return twin


def _twin_half(half: object) -> object:
    twin = copy(half)
    if isinstance(twin, _Half):
        twin.skipped = twin.skipped[:]
    return twin


def _state(tracker: Tracker) -> Hashable:
    """Return all that a tracker knows. In which order halves have left matters only when their number is too large to
    be remembered."""
    values = {name: value for name, value in vars(tracker).items() if name not in ("circuit", "_ladders")}
    if len(tracker._gone) < tracker._most and len(tracker._swapped) < tracker._most:
        values["_gone"], values["_swapped"] = frozenset(tracker._gone), frozenset(tracker._swapped)
    return tuple(_frozen(value) for value in values.values())


def _frozen(value: object) -> Hashable:
    if isinstance(value, dict):
        return tuple((key, _frozen(item)) for key, item in value.items())
    if isinstance(value, deque | list):
        return tuple(value)
    if is_dataclass(value) and not isinstance(value, Hashable):
        return tuple(_frozen(getattr(value, field.name)) for field in fields(value))
    assert isinstance(value, Hashable)
    return value


def chain(links: int, levels: Sequence[int] = (), **rest: object) -> Circuit:
    """Return a circuit over so many links."""
    names = tuple("abcdefghijkl"[: links + 1])
    return Circuit("c", "r", names, tuple(map(str, range(links))), tuple(levels), **rest)  # type: ignore[arg-type]
