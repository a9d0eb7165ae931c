"""Pairs that nobody stores: both ends measure their halves on arrival, and only outcomes are delivered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared_state.engine import pairs
from shared_state.engine.batch import Codes
from shared_state.errors import BadRequest
from shared_state.world.drawn_trains import draw_bases
from shared_state.world.ends import Ends, MeasuredPairs
from shared_state.world.limits import check_awaited
from shared_state.world.pair_batches import read_out
from shared_state.world.pair_links import PairLinks, check_count
from shared_state.world.queues import Ask, Place, Ticket


class DirectPairs:
    """Pairs measured on arrival over all links: "measure directly" of a link layer (Dahlberg et al. 2019; RFC 9340).

    ``node`` is who asks. No half enters a memory, so none ages or takes up a place, and sources whose photons nobody
    can store serve this request only.
    """

    def __init__(self, ends: Ends, sources: PairLinks) -> None:
        self._ends = ends
        self._sources = sources

    def measure(
        self,
        ticket: Ticket,
        node: str,
        at: float,
        run: str,
        link: str,
        count: int,
        bases: Codes | None,
        alpha: float | None = None,
        angles: Sequence[float] = (),
    ) -> None:
        """Ask for the outcomes of ``count`` pairs, half i in ``bases[i]``; the other end must ask for as many.

        Codes are 0 for Z, 1 for X and 2 for Y. With ``angles`` they are indices into these, and the angle a is that of
        cos(a) Z + sin(a) X. Without bases this end's device draws them: Z with the link's ``basis_probability``, or X,
        like those of a train; of angles each alike. ``alpha`` as for ``PairLinks.pair``. Raises BadRequest, LinkDown,
        LimitExceeded and who has gone.
        """
        peer = self._ends.peer(node, run, link)
        self._sources.scheme(link, alpha)
        check_count(count)
        if bases is not None:
            _check_bases(bases, count, angles)
        self._ends.nature.presence.check_peer(peer, run)
        place = Place("outcomes", link, run, "")
        ask = Ask(ticket, node, at, place, bases, count, alpha=alpha, angles=tuple(angles))
        check_awaited(self._ends.queues, ask)
        both = self._ends.meet(ask)
        if both is not None:
            self._detect(*both)

    def _detect(self, first: Ask, second: Ask) -> None:
        """Measure pairs at both ends; ``first`` is the request of the link's first endpoint.

        Each bit is read with its node's readout errors, so the correlation of a basis is the scheme's times
        (1 - e0 - e1) of each end, where an end reports 0 as 1 with e0 and 1 as 0 with e1, both alike.
        """
        asks, place, nature = (first, second), first.place, self._ends.nature
        made = self._sources.generate(first, second)
        if made is None:
            return
        scheme, draw, _ = made
        (tensor,) = pairs.from_density(scheme.state[np.newaxis])
        bases = [self._bases(ask) for ask in asks]
        uniforms = nature.rng(f"link/{place.link}/source", place.run).random((first.count, 2))
        measured = pairs.measure_alike(tensor, (_axes(first), _axes(second)), bases[0], bases[1], uniforms)
        for side, ask in enumerate(asks):
            gates = nature.world.nodes[ask.node].gates
            bits = read_out(measured[side], gates, nature.rng(f"node/{ask.node}", place.run))
            # the outcome is there after the readout, and counts when the end has heard of the other's
            after = max(scheme.heralded_after[side], scheme.stored_after[side] + gates.readout_duration)
            times: NDArray[np.float64] = draw.times + after
            nature.clock.observe(float(times[-1]))
            self._ends.settle(ask.ticket, MeasuredPairs(bases[side], bits, times))

    def _bases(self, ask: Ask) -> Codes:
        if ask.bases is not None:
            return ask.bases
        place = ask.place
        rng = self._ends.nature.rng(f"link/{place.link}/detectors/{ask.node}", place.run)
        if ask.angles:
            return rng.integers(0, len(ask.angles), ask.count, dtype=np.uint8)
        return draw_bases(ask.count, self._ends.links[place.link].pulses, rng)


def _axes(ask: Ask) -> pairs.Axes:
    return pairs.in_plane(ask.angles) if ask.angles else pairs.BASES


def _check_bases(bases: Codes, count: int, angles: Sequence[float]) -> None:
    if len(bases) != count:
        raise BadRequest(f"{count} pairs take as many bases, and {len(bases)} were given.")
    if angles and bases.max() >= len(angles):
        raise BadRequest(f"there is no angle number {bases.max()} among {len(angles)}.")
    if not angles and bases.max() > 2:
        raise BadRequest("the basis codes are 0 for Z, 1 for X and 2 for Y.")
