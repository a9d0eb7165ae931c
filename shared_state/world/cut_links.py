"""Links that are cut: who waits for pairs is told, and heralds that were on their way do not come."""

from __future__ import annotations

import numpy as np

from shared_state.ledger import Bereavement, Holding
from shared_state.world.attempts import link_of
from shared_state.world.ends import Ends, link_down
from shared_state.world.pair_batches import PairBatches
from shared_state.world.pair_links import PairLinks


class CutLinks:
    """What becomes of the pairs of a link whose fibre is cut, and mended.

    A herald that an end has by the time of the cut stays with it, whatever the other end has. Light that is on the
    fibre by then comes out of it; what enters later is lost (``Ends.path``).
    """

    def __init__(self, ends: Ends, sources: PairLinks, batches: PairBatches) -> None:
        self._ends = ends
        self._sources = sources
        self._batches = batches

    def cut(self, link: str, at: float) -> None:
        """Cut a link at emulated time ``at``: all requests for its pairs are refused, those that wait at once.

        An end that was told of a pair ahead of its herald, as parties are that take no turns, learns from the next
        answer about its half that there is none: by then the half is as good as a fresh qubit in I/2.
        """
        self._ends.down.add(link)
        for ask in self._ends.queues.asks(None):
            if ask.place.link == link and not ask.place.receiver:  # who waits for light goes on waiting
                self._ends.fail(ask, link_down(link))
        self._sources.interrupt(link, at)
        for node in self._ends.links[link].endpoints:
            for holding in self._ends.nature.ledger.of_node(node):
                if holding.heralded > at and link_of(holding.pair) == link:
                    self._lose(holding, link)
            self._batches.lose(node, link, at)

    def mend(self, link: str) -> None:
        """Let a link that was cut be as it was before."""
        self._ends.down.discard(link)

    def _lose(self, holding: Holding, link: str) -> None:
        nature = self._ends.nature
        nature.vanish(holding)
        (holding.label,) = nature.new_qubits(np.eye(2, dtype=np.complex128) / 2)
        holding.bereaved = Bereavement("", holding.pair, link=link)
