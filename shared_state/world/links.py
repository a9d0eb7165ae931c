"""All links of the lab: what crosses them needs both ends, so here requests wait for each other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from shared_state.config import LinkDevices
from shared_state.errors import NoSuchQubit, NotYours, QubitExpired, RunClosed
from shared_state.world.cut_links import CutLinks
from shared_state.world.direct_pairs import DirectPairs
from shared_state.world.ends import Ends, Outcome
from shared_state.world.light_links import LightLinks
from shared_state.world.nature import Nature
from shared_state.world.pair_batches import PairBatches
from shared_state.world.pair_links import PairLinks
from shared_state.world.presence import peer_departed, peer_left_run
from shared_state.world.queues import Photon, Ticket
from shared_state.world.train_links import TrainLinks


class Links:
    """The links and what becomes of it all when a party leaves.

    Raised at once by what is asked of ``pairs`` and ``light``: BadRequest, RunClosed, PeerDeparted, PeerLeftRun,
    LinkDown, NoFreeMemory, and what Nature raises. Settled later: an outcome, or one of the first four when a party
    leaves, or LinkDown when the link is cut.
    """

    def __init__(
        self,
        nature: Nature,
        settle: Callable[[Ticket, Outcome], None],
        present: Callable[[str], float] | None = None,
    ) -> None:
        """``present`` tells what time it is for a node that states none; without it that is the lab's time."""
        self._nature = nature
        self._present = present or self._lab_time
        self.ends = Ends(nature, settle)
        self.queues = self.ends.queues
        self.pairs = PairLinks(self.ends)
        self.batches = PairBatches(self.ends, self.pairs)
        self.direct = DirectPairs(self.ends, self.pairs)
        self.cuts = CutLinks(self.ends, self.pairs, self.batches)
        self.light = LightLinks(self.ends)
        self.trains = TrainLinks(self.ends, self.light)

    def _lab_time(self, _: str) -> float:
        return self._nature.clock.now()

    def change(self, name: str, devices: LinkDevices) -> None:
        """Give a link other devices, for what is asked for and what enters its fibre from now on.

        Who has been promised a pair gets it as it was promised; light on the fibre comes out as it went in.
        """
        self.ends.change(name, devices)
        self.pairs.forget_schemes(name)
        self._nature.keeping.survey(self.ends.links.values())

    def withdraw(self, ticket: Ticket) -> bool:
        """Take a waiting request back; tell whether it did wait."""
        return self.ends.withdraw(ticket) is not None

    def take_back(self, node: str, qubit: int) -> None:
        """Trace out what a request delivered that the node has cancelled, if it is still there.

        A half that has not been heralded yet costs the node no further attempts.
        """
        if qubit < 0:
            halves = self.batches.withdraw(node, qubit)
            if halves is not None:
                self._nature.attempts.stop(
                    node, halves.run, self._present(node), halves.title.partition("..")[0]
                )
            return
        # between the answer and the cancellation the run may have been closed, and the qubit with it
        with suppress(NotYours, NoSuchQubit, QubitExpired):
            holding = self._nature.ledger.held_by(node, qubit)
            if holding.pair:
                self._nature.attempts.stop(node, holding.run, self._present(node), holding.pair)
            self._nature.drop(holding)

    def close_run(self, node: str, run: str) -> int:
        """End the node's part of a run; return how many qubits that traced out. What it sent flies on."""
        nature = self._nature
        nature.presence.leave(node, run)
        for ask in self.queues.asks(run):
            if ask.node == node:
                self.ends.fail(ask, RunClosed(f"{node} has ended its part of run {run!r} meanwhile."))
            elif node in self.ends.links[ask.place.link].endpoints:
                self.ends.fail(ask, peer_left_run(node, run))
        for light in self.queues.remove_light(run, lambda place, _: place.receiver == node):
            self.ends.absorb(light)
        self.pairs.release(node, run)
        nature.attempts.stop(node, run, self._present(node))
        self.trains.close_run(node, run)
        return nature.drop_run(node, run) + self.batches.close_run(node, run)

    def depart(self, node: str) -> None:
        """Remove all traces of a node whose session has ended, and tell those who wait for it."""
        for ask in self.queues.asks(None):
            if ask.node == node:
                self.ends.withdraw(ask.ticket)
            elif node in self.ends.links[ask.place.link].endpoints:
                self.ends.fail(ask, peer_departed(node))
        for light in self.queues.remove_light(
            None, lambda place, light: node in (place.receiver, light.sender)
        ):
            if isinstance(light, Photon) and light.holding is not None:
                self._nature.bereave(light.holding, node)
            self.ends.absorb(light)
        self._nature.depart(node)
        self._nature.attempts.forget(node)
        self.trains.depart(node)
        self.batches.depart(node)
