"""Heralded pairs: both ends of a link ask, its source makes one, both hold a half."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from shared_state.arguments import MAX_PAIRS
from shared_state.clock import MAX_LEAP, MAX_TIME
from shared_state.config import SingleClickSource, SourceConfig, TapConfig
from shared_state.errors import BadRequest, LimitExceeded
from shared_state.ledger import Holding
from shared_state.world.ends import Delivered, Ends
from shared_state.world.heralding import scheme_of
from shared_state.world.occupancy import Occupancy
from shared_state.world.queues import Ask, Place, Ticket
from shared_state.world.schemes.scheme import Draw, Scheme

_AFTER_THE_END: Final = (
    "the source of link {!r} has made {} pairs at {:g} s, and virtual time ends at {:g} s: raise its rate, or ask "
    "for fewer."
)
MAX_SCHEMES: Final = 1024
"""So many schemes are kept, of links at some alpha; others are computed again."""


MAX_COUNTED: Final = 2**62
"""Attempts, so that they fit into an int64; no eavesdropper's books show the difference."""


def check_count(count: int) -> None:
    """Raise LimitExceeded unless one request may be for so many pairs."""
    if not 1 <= count <= MAX_PAIRS:
        raise LimitExceeded(f"one request is for 1 to {MAX_PAIRS} pairs, not {count}: ask several times.")


class PairLinks:
    """The sources of all links. ``node`` is who asks; whatever it names must be a link of its own."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._schemes: dict[tuple[str, float | None, tuple[TapConfig, ...]], Scheme] = {}
        self._pairs: Counter[str] = Counter()
        self._busy = Occupancy(ends.nature.clock.story)

    def pair(
        self, ticket: Ticket, node: str, at: float, run: str, link: str, alpha: float | None = None
    ) -> None:
        """Ask for a heralded pair; its generation starts when both ends have asked and the source is free.

        ``alpha``: see ``scheme``; the other end must ask for the same.
        """
        peer = self._ends.peer(node, run, link)
        self.check_source(link, alpha)
        self._ends.nature.presence.check_peer(peer, run)
        both = self._ends.meet(Ask(ticket, node, at, Place("pair", link, run, ""), alpha=alpha))
        if both is not None:
            self._herald(*both)

    def scheme(self, link: str, alpha: float | None = None) -> Scheme:
        """Return what the link's source amounts to, its emitters at ``alpha`` instead of the link's own.

        Of a single-click source, alpha is the bright-state population of both ends' emitters: pairs are the more, and
        the worse, the higher it is. The taps that are attached now are part of it. Raises BadRequest where no pair can
        be made, and for an alpha of any other source.
        """
        taps = self._ends.attached(link)
        kept = self._schemes.get((link, alpha, taps))
        if kept is not None:
            return kept
        devices = self._ends.links[link]
        if devices.source is None:
            raise BadRequest(f"link {link!r} has no source of pairs; give it one, or swap over other links.")
        title = f"the source of link {link!r}" + ("" if alpha is None else f" at alpha {alpha!r}")
        title += ", with the taps on the fibre," if taps else ""
        try:
            scheme = scheme_of(_at_alpha(devices.source, link, alpha), devices.fibre, taps)
        except ValueError as error:
            raise BadRequest(f"{title} makes no pairs: {error}") from error
        if scheme.process.mean > MAX_LEAP:
            raise BadRequest(
                f"{title} takes {scheme.process.mean:g} s for a pair on average, and "
                f"{MAX_LEAP:g} s is the limit: raise its rate, or lose less light."
            )
        if len(self._schemes) >= MAX_SCHEMES:
            del self._schemes[next(iter(self._schemes))]
        self._schemes[link, alpha, taps] = scheme
        return scheme

    def forget_schemes(self, link: str) -> None:
        """Forget what a link's source amounts to: its devices have changed."""
        self._schemes = {key: scheme for key, scheme in self._schemes.items() if key[0] != link}

    def check_source(self, link: str, alpha: float | None) -> None:
        """Raise BadRequest when nothing makes pairs on the link, at this alpha, that can be stored."""
        if not self.scheme(link, alpha).memories:
            raise BadRequest(
                f"the photons of the source of link {link!r} are measured on arrival: measure the pairs directly."
            )

    def generate(self, first: Ask, second: Ask) -> tuple[Scheme, Draw, int] | None:
        """Let the source make what both ends ask for, when both have; return also the number of the first pair.

        None when virtual time ends before the last of them is heralded: both are refused, and nothing has been made.
        """
        link, run, count, at = first.place.link, first.place.run, first.count, max(first.at, second.at)
        scheme = self.scheme(link, first.alpha)
        dice = self._ends.nature.rng(f"link/{link}/source", run)
        start = max(at, self._busy.free_from(link, run))
        draw = scheme.draw(count, start, dice)
        last = float(draw.times[-1])
        heralded = last + max(scheme.heralded_after)
        if self._ends.nature.clock.ends_before(heralded):
            for ask in (first, second):
                self._ends.release(ask)
                self._ends.settle(ask.ticket, BadRequest(_AFTER_THE_END.format(link, count, last, MAX_TIME)))
            return None
        self._busy.occupy(link, run, last + scheme.process.cycle)
        self._ends.nature.clock.observe(heralded)
        number = self._pairs[link] + 1
        self._pairs[link] += count
        self._tell_taps(link, run, scheme, draw)
        if scheme.process.cycle > 0 and scheme.memories:  # a detector disturbs no memory
            attempts, pair = int(draw.attempts.sum()), f"{link}/{number}"
            for node, stored in zip(self._ends.links[link].endpoints, scheme.stored_after, strict=True):
                self._ends.nature.attempts.record(
                    node, run, start + stored, scheme.process.cycle, attempts, pair
                )
        return scheme, draw, number

    def _tell_taps(self, link: str, run: str, scheme: Scheme, draw: Draw) -> None:
        """Let the eavesdroppers note what they have had of the photons of these attempts."""
        pairs, chance = len(draw.times), scheme.process.probability
        for tap, met in zip(self._ends.taps(link, run).values(), scheme.encounters, strict=True):
            # a Poisson process counts delivered pairs only: before each some were kept
            attempts = int(min(draw.attempts.sum(), MAX_COUNTED)) or pairs + int(
                tap.rng.negative_binomial(pairs, chance)
            )
            tap.note_pairs(met, attempts, pairs, chance)

    def interrupt(self, link: str, at: float) -> None:
        """Let the source of a link make nothing after ``at`` of what it has been asked for."""
        self._busy.cut_short(link, at)
        for node in self._ends.links[link].endpoints:
            self._ends.nature.attempts.interrupt(node, link, at)

    def release(self, node: str, run: str) -> None:
        """Give up the run's place at the sources of the node's links."""
        for link, devices in self._ends.links.items():
            if node in devices.endpoints:
                # neither attempts nor a Poisson process remember: who begins later waits no longer
                self._busy.release(link, run)

    def _herald(self, first: Ask, second: Ask) -> None:
        """Deliver a pair to both ends: the link's first endpoint holds the first half."""
        nature, link = self._ends.nature, first.place.link
        run = first.place.run
        made = self.generate(first, second)
        if made is None:
            return
        scheme, draw, number = made
        begun, pair = float(draw.times[0]), f"{link}/{number}"
        halves = [Holding(label, pair=pair) for label in nature.new_qubits(scheme.state)]
        halves[0].partner, halves[1].partner = halves[1], halves[0]
        for ask, half, after in zip((first, second), halves, scheme.stored_after, strict=True):
            self._ends.release(ask)
            nature.ledger.enter(half, ask.node, run, begun + after)
        for ask, half, after in zip((first, second), halves, scheme.heralded_after, strict=True):
            # until then nobody knows that it is half of a pair
            half.free_from = half.heralded = begun + after
            self._ends.settle(ask.ticket, Delivered(half.qubit, pair, begun + after))


def _at_alpha(source: SourceConfig, link: str, alpha: float | None) -> SourceConfig:
    if alpha is None:
        return source
    if not isinstance(source, SingleClickSource):
        raise BadRequest(
            f"the source of link {link!r} is of the scheme {source.scheme!r} and has no alpha: ask for its pairs "
            "without one, or give the link a single-click source."
        )
    return replace(source, alpha=(alpha, alpha))
