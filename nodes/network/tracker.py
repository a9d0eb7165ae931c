"""The swap tracker: what one node of a circuit knows of the pairs it holds, and what it does next.

    left end             stop              stop             right end
       │ ═══ pair ═══ swaps │ ═══ pair ═══ swaps │ ═══ pair ═══ │
       │                 1  ├──── Track ────▶    │              │
       │                    │                 2  ├─── Track ──▶ │ 3  knows its partner and the Pauli frame
       │ ◀──────────────────┴──── Established ───┴───────────── │
    4  knows the same

1. A stop swaps when it has a pair on either side. It knows by which pair its left neighbour stop knows the left one.
   Where that neighbour is the segment's left end, it tells its right neighbour stop: your pair leads to that end, up to
   this Pauli frame.
2. Every other stop adds its own outcome to a ``Track`` when it has swapped the pair that the track names.
3. The segment's right end is the first to know, and says so to the left end. A purification of the segment's pairs
   comes now (``Parity``, ``Verdict``); then the pair is one of the next larger segment, or delivered where the segment
   is all of the circuit. There the right end undoes the Pauli frame: the only correction, whatever was swapped.

A half that is discarded is told to its partner, ``Expired``, which discards its own, or passes the news on if it has
swapped that. Ids are never used again, and a pair is named by the recipient's own id for it. So news of a pair that is
not there any more concerns nobody, whatever was put into its memory meanwhile; messages may cross and be late. News of
a pair that is not there yet, as its other end heard of it first and has acted, waits for it, and so does what its
sender tells after that.

So the pairs of a segment become ready for use in one order at both its ends. Each end uses them in that order, lest
either waits to join a pair that the other one has joined already. This takes links that herald in one order at both
ends, and channels that keep the order of messages.

The circuit's ends never discard by themselves: a pair is delivered at both, or expired by a node between that has not
swapped it. This follows the network layer of Kozlowski, Dahlberg and Wehner (CoNEXT 2020), with one track in place of
two and with segments, so that levels of swapping and purification nest. Events in, instructions out; no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import inf

from nodes.errors import ProtocolViolation
from nodes.network.circuit import Circuit, Segment, Side, ladder
from nodes.network.frames import Frame, after_purification, success, twirl, twirled
from nodes.network.halves import Half, State
from nodes.network.tidings import (
    Deliver,
    Discard,
    Established,
    Expired,
    Free,
    Instruction,
    Parity,
    Purify,
    Send,
    Swap,
    Tiding,
    Track,
    Verdict,
    WatchOver,
)

_REMEMBERED = 256
"""For each unit of the window so many swaps are remembered, to pass news of their pairs on; so many halves that have
left, to know late news from early; and so much news of a sender waits for a pair that may still come."""


class Tracker:
    """One node's part in one circuit, at position ``here``. At an end, ``limit`` pairs are delivered at most."""

    def __init__(self, circuit: Circuit, here: int, limit: float = inf) -> None:
        self.circuit = circuit
        self.here = here
        self.limit = limit
        self._ladders: dict[Side, tuple[Segment, ...]] = {
            "left": ladder(circuit, here, "left"),
            "right": ladder(circuit, here, "right"),
        }
        self._between = 0 < here < circuit.last
        self._halves: dict[str, Half] = {}
        """In the order in which they came to be shared as they are."""
        self._most = _REMEMBERED * circuit.window
        self._swapped: deque[str] = deque()
        self._gone: dict[str, None] = {}
        self._early: dict[int, deque[Tiding]] = {}

    # events

    def heralded(self, side: Side, pair: str, at: float) -> Iterator[Instruction]:
        """The link on that side has made a pair, of which the other end knows or will. Raise as ``received`` does."""
        half = self._halves[pair] = Half(pair, side, pair, at)
        if self.circuit.cutoff is not None and self._between:
            yield WatchOver(pair)
        yield from self._advance(half)
        for sender in list(self._early):
            yield from self._read(sender)

    def received(self, sender: int, tiding: Tiding) -> Iterator[Instruction]:
        """Another node of the circuit tells something. Raise ``ProtocolViolation`` for what cannot be true."""
        self._early.setdefault(sender, deque()).append(tiding)
        yield from self._read(sender)

    def swapped(self, left: str, right: str, x: int, z: int) -> Iterator[Instruction]:
        """The Bell measurement of two halves has this outcome."""
        one, other = self._halves[left], self._halves[right]
        for half, its in ((one, other), (other, one)):
            half.state, half.joined, half.outcome = State.SWAPPED, its.pair, (x, z)
            yield Free(half.pair, half.side)
        self._remember(left)
        if one.expired or other.expired:
            yield from self._pass_on(one, other)
        elif self.circuit.level(self._far(one)) > self.circuit.level(self.here):
            yield self._onwards(other, one.partner, (one.x, one.z), one.born)
        elif one.track is not None:
            track = one.track
            yield self._onwards(other, track.origin, (track.x, track.z), track.born)

    def swap_failed(self, left: str, right: str) -> Iterator[Instruction]:
        """One of two halves was not there any more when they were to be measured; neither is now."""
        for pair in (left, right):
            half = self._leave(pair)
            yield Free(pair, half.side)
            if not half.expired:
                yield self._to_partner(half, Expired(half.partner))

    def measured(self, kept: str, spent: str, bit: int) -> Iterator[Instruction]:
        """The spent half of a purification has been measured here."""
        half, gone = self._halves[kept], self._leave(spent)
        yield Free(spent, gone.side)
        protocol, parity = self._protocol(half), half.parity
        (half.x, half.z), flipped = after_purification(protocol, (half.x, half.z), (gone.x, gone.z))
        half.state, half.parity = State.SPENDING, None
        if half.expired or gone.expired:
            yield from self._drop(half, tell=not half.expired)
            if not gone.expired:
                yield self._to_partner(gone, Expired(gone.partner))
        elif parity is None:  # this is the right end: the other one has to do its part
            yield self._to_partner(half, Parity(half.partner, gone.partner, bit ^ flipped))
        else:
            well = success(protocol, parity.bit, bit)
            yield self._to_partner(half, Verdict(half.partner, well))
            yield from self._judged(half, succeeded=well)

    def spoilt(self, kept: str, spent: str) -> Iterator[Instruction]:
        """One of the halves of a purification was not there any more; neither is now."""
        for pair in (kept, spent):
            half = self._leave(pair)
            yield Free(pair, half.side)
            if not half.expired:
                yield self._to_partner(half, Expired(half.partner))

    def overdue(self, pair: str) -> Iterator[Instruction]:
        """The half has been here for the circuit's cut-off."""
        half = self._halves.get(pair)
        if half is not None and half.state is State.SHARED:
            yield from self._drop(half, tell=True)
        elif half is not None:
            half.overdue = True

    def lost(self, pair: str) -> Iterator[Instruction]:
        """The half, which waited here, is gone."""
        if pair in self._halves:
            half = self._leave(pair)
            yield Free(pair, half.side)
            yield self._to_partner(half, Expired(half.partner))

    def waits(self, pair: str) -> bool:
        """Tell whether a half is here and nothing is being done with it."""
        half = self._halves.get(pair)
        return half is not None and half.state is State.SHARED

    def held(self) -> list[str]:
        """List the halves that are in this node's memories for the circuit."""
        return [half.pair for half in self._halves.values() if half.state is not State.SWAPPED]

    # news

    def _read(self, sender: int) -> Iterator[Instruction]:
        """Heed what a node has told, up to news of a pair that is not there yet."""
        queue = self._early[sender]
        while queue and (len(queue) > self._most or self._knows(queue[0])):
            match queue.popleft():
                case Track() as track:
                    yield from self._track(sender, track)
                case Established() as news:
                    yield from self._established(sender, news)
                case Expired(pair):
                    yield from self._expired(pair)
                case Parity() as news:
                    yield from self._parity(sender, news)
                case Verdict() as news:
                    yield from self._verdict(sender, news)
        if not queue:
            del self._early[sender]

    def _knows(self, tiding: Tiding) -> bool:
        """Tell whether the pairs of which there is news are, or were, at this node."""
        match tiding:
            case Parity(kept, spent):
                pairs = {kept, spent}
            case Verdict(kept):
                pairs = {kept}
            case _:
                pairs = {tiding.pair}
        return all(pair in self._halves or pair in self._gone for pair in pairs)

    def _track(self, sender: int, track: Track) -> Iterator[Instruction]:
        half = self._halves.get(track.pair)
        if half is None:
            return  # discarded here, which its partner has been told
        far, top = self._far(half), self._is_at_top(half)
        joins = self._between and top and self.circuit.level(far) == self.circuit.level(self.here)
        ready = half.side == "left" and half.rounds == self._rounds(half)
        climbs = not top and half.state is State.SHARED
        self._check(sender == far and ready and (climbs or joins) and half.track is None, sender, track)
        if joins:
            half.track = track
            if half.state is State.SWAPPED:
                other = self._halves[half.joined]
                yield self._onwards(other, track.origin, (track.x, track.z), track.born)
            return
        self._climb(half, half.rung + 1, track.origin, track.x, track.z, track.born)
        if self.limit < 1 and not self._between:
            yield from self._drop(half, tell=True)
            return
        yield self._to_partner(half, Established(half.partner, half.pair, half.x, half.z, half.born))
        yield from self._advance(half)

    def _established(self, sender: int, news: Established) -> Iterator[Instruction]:
        half = self._halves.get(news.pair)
        if half is None:
            return  # discarded here, which the stops on the way have been told
        if sender in half.skipped:
            half.skipped.remove(sender)  # it was faster by way of a larger segment
            return
        rungs = self._ladders["right"]
        rung = next((rung for rung, segment in enumerate(rungs) if segment.ends[1] == sender), 0)
        waits = half.side == "right" and half.rung < rung and half.state is State.SHARED
        known = waits and half.rounds == self._rounds(half)
        skipped = rungs[half.rung + 1 : rung]
        self._check(known and not any(map(self.circuit.protocols, skipped)), sender, news)
        half.skipped += [segment.ends[1] for segment in skipped]
        self._climb(half, rung, news.partner, news.x, news.z, news.born)
        yield from self._advance(half)

    def _expired(self, pair: str) -> Iterator[Instruction]:
        half = self._halves.get(pair)
        if half is None:
            return
        if half.state is State.SWAPPED:
            half.expired = True
            yield from self._pass_on(half, self._halves[half.joined])
        elif half.state is State.BUSY:
            half.expired = True
        else:
            yield from self._drop(half, tell=False)

    def _parity(self, sender: int, news: Parity) -> Iterator[Instruction]:
        kept, spent = self._halves.get(news.kept), self._halves.get(news.spent)
        for half in (kept, spent):
            if half is not None:
                waits = (
                    half.side == "right" and half.state is State.SHARED and half.rounds < self._rounds(half)
                )
                self._check(waits and sender == self._far(half), sender, news)
        if kept is not None and spent is not None:
            alike = (kept.rung, kept.rounds) == (spent.rung, spent.rounds)
            self._check(alike and kept is not spent, sender, news)
            kept.parity = news
            yield self._begin_purifying(kept, spent, left=True)
            return
        # the other one was discarded here, and its partner's holder has been told or is told now
        if kept is not None:
            yield self._to_partner(kept, Verdict(kept.partner, success=False))
        for half in (kept, spent):
            if half is not None:
                yield from self._drop(half, tell=False)

    def _verdict(self, sender: int, news: Verdict) -> Iterator[Instruction]:
        half = self._halves.get(news.kept)
        if half is None:
            return
        self._check(sender == self._far(half) and half.state is State.SPENDING, sender, news)
        yield from self._judged(half, succeeded=news.success)

    def _judged(self, half: Half, *, succeeded: bool) -> Iterator[Instruction]:
        if not succeeded:
            yield from self._drop(half, tell=False)
            return
        half.rounds += 1
        half.state = State.SHARED
        self._line_up(half)
        yield from self._advance(half)

    # what it leads to

    def _advance(self, half: Half) -> Iterator[Instruction]:
        """Do what can be done with a half that waits."""
        if half.rounds < self._rounds(half):
            yield from self._purify(half)
        elif self._is_at_top(half):
            yield from self._swap(half) if self._between else self._deliver(half)
        if half.overdue and half.state is State.SHARED and half.pair in self._halves:
            yield from self._drop(half, tell=True)

    def _purify(self, half: Half) -> Iterator[Instruction]:
        """Spend a half on an older one of the same segment and as many rounds; its right end decides which."""
        if half.side == "right":
            return
        for other in self._halves.values():
            alike = (other.side, other.rung, other.rounds) == ("left", half.rung, half.rounds)
            if other is not half and alike and other.state is State.SHARED:
                yield self._begin_purifying(other, half, left=False)
                return

    def _begin_purifying(self, kept: Half, spent: Half, *, left: bool) -> Purify:
        """Use two halves for a purification. BBPSSW is for Werner pairs, and makes such of its own by turns at
        random.
        """
        protocol, turns = self._protocol(kept), []
        for half in (kept, spent):
            half.state = State.BUSY
            name = half.pair if left else half.partner
            turns.append(twirl(name, half.rounds) if protocol == "bbpssw" else 0)
            half.x, half.z = twirled((half.x, half.z), turns[-1])
        return Purify(kept.pair, spent.pair, protocol, left, (turns[0], turns[1]))

    def _swap(self, half: Half) -> Iterator[Instruction]:
        """Swap with the half that has waited longest on the other side."""
        for other in self._halves.values():
            if other.side != half.side and other.state is State.SHARED and self._ready(other):
                half.state = other.state = State.BUSY
                left, right = (half, other) if half.side == "left" else (other, half)
                yield Swap(left.pair, right.pair)
                return

    def _ready(self, half: Half) -> bool:
        """Tell whether a half is shared as far as this node's swap wants it, and purified."""
        return self._is_at_top(half) and half.rounds == self._rounds(half)

    def _deliver(self, half: Half) -> Iterator[Instruction]:
        if self.limit < 1:
            yield from self._drop(half, tell=True)
            return
        self.limit -= 1
        self._leave(half.pair)
        name = half.pair if half.side == "right" else half.partner
        yield Deliver(half.pair, name, half.x, half.z, half.born)

    def _drop(self, half: Half, *, tell: bool) -> Iterator[Instruction]:
        """Give a half up that this node holds; ``tell`` its partner, unless the news has come from there."""
        self._leave(half.pair)
        yield Discard(half.pair)
        yield Free(half.pair, half.side)
        if tell:
            yield self._to_partner(half, Expired(half.partner))

    def _pass_on(self, one: Half, other: Half) -> Iterator[Instruction]:
        """Tell the partners of two halves that were swapped, but those who have told this node, and forget them."""
        for half in (one, other):
            self._leave(half.pair)
            if not half.expired:
                yield self._to_partner(half, Expired(half.partner))

    def _onwards(self, right: Half, origin: str, frame: Frame, born: float) -> Send:
        """Tell the next stop to where its pair leads: ``frame`` goes as far as this node's left half."""
        x = frame[0] ^ right.outcome[0] ^ right.x
        z = frame[1] ^ right.outcome[1] ^ right.z
        return self._to_partner(right, Track(right.partner, origin, x, z, min(born, right.born)))

    def _climb(self, half: Half, rung: int, partner: str, x: int, z: int, born: float) -> None:
        """Share a half across a larger segment."""
        half.rung, half.rounds = rung, 0
        half.partner, half.x, half.z, half.born = partner, x, z, min(born, half.born)
        self._line_up(half)

    def _line_up(self, half: Half) -> None:
        """Put a half behind those that are longer what it is now."""
        self._halves[half.pair] = self._halves.pop(half.pair)

    def _remember(self, left: str) -> None:
        self._swapped.append(left)
        if len(self._swapped) > self._most and (oldest := self._swapped.popleft()) in self._halves:
            self._leave(self._leave(oldest).joined)

    def _leave(self, pair: str) -> Half:
        """Forget a half, but that it was here."""
        self._gone[pair] = None
        if len(self._gone) > self._most:
            del self._gone[next(iter(self._gone))]
        return self._halves.pop(pair)

    def _segment(self, half: Half) -> Segment:
        return self._ladders[half.side][half.rung]

    def _is_at_top(self, half: Half) -> bool:
        return half.rung == len(self._ladders[half.side]) - 1

    def _rounds(self, half: Half) -> int:
        """Count the purifications that the pairs of a half's segment undergo."""
        return len(self.circuit.protocols(self._segment(half)))

    def _protocol(self, half: Half) -> str:
        return self.circuit.protocols(self._segment(half))[half.rounds]

    def _far(self, half: Half) -> int:
        """Return the position of the other end of the segment across which a half is shared."""
        first, last = self._segment(half).ends
        return first if half.side == "left" else last

    def _to_partner(self, half: Half, tiding: Tiding) -> Send:
        return Send(self._far(half), tiding)

    def _check(self, true: bool, sender: int, tiding: Tiding) -> None:
        if not true:
            raise ProtocolViolation(
                f"node '{self.circuit.path[sender]}' says {tiding} of circuit {self.circuit.name}, "
                f"which cannot be at '{self.circuit.path[self.here]}'"
            )
