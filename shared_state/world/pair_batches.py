"""Heralded pairs by the thousand: delivered, swapped, corrected and measured as arrays in one request."""

from __future__ import annotations

from math import inf

import numpy as np

from shared_state.config import GateConfig, MemoryConfig
from shared_state.engine import pairs
from shared_state.engine.batch import Codes
from shared_state.engine.pairs import Side, Tensors
from shared_state.errors import BadRequest, NoSuchQubit, NotYours
from shared_state.ledger import Bereavement
from shared_state.world.attempts import link_of
from shared_state.world.ends import DeliveredPairs, Ends
from shared_state.world.halves import Batch, Halves, Times, lost
from shared_state.world.pair_links import PairLinks, check_count
from shared_state.world.queues import Ask, Place, Ticket


class PairBatches:
    """All batches of the lab. ``node`` is who asks; a batch's ids -1, -2, ... are its holder's own.

    Raised by what acts on a batch: NotYours, NoSuchQubit, PartnerLost and LinkDown (once; the batch is discarded by
    that), BadRequest where the lengths differ, TimeReversed in virtual time.
    """

    def __init__(self, ends: Ends, sources: PairLinks) -> None:
        self._ends = ends
        self._nature = ends.nature
        self._sources = sources
        self._held: dict[str, dict[int, Halves]] = {node: {} for node in ends.nature.world.nodes}
        self._given = dict.fromkeys(self._held, 0)

    def pairs(
        self,
        ticket: Ticket,
        node: str,
        at: float,
        run: str,
        link: str,
        count: int,
        alpha: float | None = None,
    ) -> None:
        """Ask for ``count`` heralded pairs; the other end must ask for as many, at the same alpha."""
        peer = self._ends.peer(node, run, link)
        self._sources.check_source(link, alpha)
        check_count(count)
        memory = self._nature.world.nodes[node].memories
        if memory.cutoff < inf or memory.attempt_dephasing > 0:
            raise BadRequest(
                f"the memories of {node} have a cut-off or suffer from attempts, which is followed for single "
                "pairs only: ask for the pairs one by one."
            )
        self._nature.presence.check_peer(peer, run)
        both = self._ends.meet(Ask(ticket, node, at, Place("pairs", link, run, ""), count=count, alpha=alpha))
        if both is not None:
            self._herald(*both)

    def swap(self, node: str, at: float, batch: int, other_batch: int) -> tuple[Codes, Codes]:
        """Bell-measure half i of one batch with half i of another; return the outcomes x and z.

        One two-qubit gate and two readouts each. The outer halves are a batch now, under the ids they have.
        """
        if self._nature.world.nodes[node].gates.bell_success < 1:
            raise BadRequest(
                f"the Bell measurements of {node} do not always succeed, and a batch is swapped as a whole: "
                "ask for the pairs one by one."
            )
        one, other = self._find(node, batch), self._find(node, other_batch)
        self._check_lengths(one, len(other.touched))
        if one.batch is other.batch:
            raise BadRequest("a batch cannot be swapped with itself: name two batches.")
        for halves in (one, other):
            self._touch(halves, at)
        devices, rng = self._nature.world.nodes[node].gates, self._rng(one)
        left = one.batch.states if one.side == 1 else one.batch.states.transpose(0, 2, 1)
        right = other.batch.states if other.side == 0 else other.batch.states.transpose(0, 2, 1)
        # what noise does to the correlation of the two measured qubits it may do to one of them
        noisy = pairs.depolarise(left, 1, 1 - correlation_kept(devices))
        states, x, z = pairs.swap(noisy, right, rng.random(len(left)))
        outer = [one.partner(), other.partner()]
        joint = Batch(states, [*outer])
        for side, far in ((0, outer[0]), (1, outer[1])):
            if far is not None:
                far.batch, far.side = joint, 1 if side else 0
        for halves in (one, other):
            self._leave(halves)
        return read_out(x, devices, rng), read_out(z, devices, rng)

    def correct(self, node: str, at: float, batch: int, x: Codes, z: Codes) -> None:
        """Apply X^x[i] Z^z[i] to half i, each gate with the node's gate noise."""
        halves = self._find(node, batch)
        for bits in (x, z):
            self._check_lengths(halves, len(bits))
        self._touch(halves, at, answered=False)
        states = pairs.pauli(halves.batch.states, halves.side, x, z)
        kept = 1 - 4 * (1 - self._nature.world.nodes[node].gates.single_fidelity) / 3
        if kept < 1:
            applied = x.astype(np.float64) + z
            states = pairs.depolarise(states, halves.side, 1 - kept**applied)
        halves.batch.states = states

    def measure(self, node: str, at: float, batch: int, bases: Codes) -> Codes:
        """Measure and consume all halves, half i in ``bases[i]`` (0 is Z, 1 X, 2 Y)."""
        halves = self._find(node, batch)
        self._check_lengths(halves, len(bases))
        if (bases > 2).any():
            raise BadRequest("the code of a basis is 0 for Z, 1 for X and 2 for Y.")
        self._touch(halves, at)
        rng, joint = self._rng(halves), halves.batch
        bits, bloch = pairs.measure(joint.states, halves.side, bases, rng.random(len(bases)))
        joint.states = pairs.alone(bloch, 1 if halves.side == 0 else 0)
        joint.halves[halves.side] = None
        self._leave(halves)
        return read_out(bits, self._nature.world.nodes[node].gates, rng)

    def discard(self, node: str, at: float, batch: int) -> None:
        """Trace all halves out."""
        halves = self._find(node, batch)
        self._touch(halves, at)
        self._drop(halves)

    def withdraw(self, node: str, batch: int) -> Halves | None:
        """Trace out what a cancelled request has delivered, if it is still there, and return it."""
        halves = self._held[node].get(batch)
        if halves is not None:
            self._drop(halves)
        return halves

    def close_run(self, node: str, run: str) -> int:
        """Trace out the node's halves of a run; return how many."""
        dropped = [halves for halves in self._held[node].values() if halves.run == run]
        for halves in dropped:
            self._drop(halves)
        return sum(len(halves.touched) for halves in dropped)

    def depart(self, node: str) -> None:
        """Trace out all that the node holds; the other halves will say so when they are used."""
        for halves in list(self._held[node].values()):
            partner = halves.partner()
            if partner is not None:
                partner.bereaved = Bereavement(node, partner.title)
            self._drop(halves)

    def lose(self, node: str, link: str, at: float) -> None:
        """Let the node's batches from a link be half of nothing whose heralds had not all arrived at ``at``."""
        for halves in self._held[node].values():
            if halves.heralded > at and link_of(halves.title) == link:
                halves.batch.trace_out(halves.side)
                halves.bereaved = Bereavement("", halves.title, link=link)

    def fidelities(self, node: str, batch: int) -> Times:
        """Return the fidelity of each pair of a batch with Phi+, as last touched. Oracle only."""
        return pairs.fidelity(self._find(node, batch).batch.states)

    def qubits(self) -> int:
        """Count the halves of all nodes."""
        return sum(len(halves.touched) for held in self._held.values() for halves in held.values())

    def clusters(self) -> int:
        """Count the pairs of which a half is there."""
        batches = {id(halves.batch): halves for held in self._held.values() for halves in held.values()}
        return sum(len(halves.touched) for halves in batches.values())

    def run_of(self, node: str, batch: int) -> str:
        """Return the run of a batch. Raises NotYours and NoSuchQubit."""
        return self._find(node, batch).run

    def _herald(self, first: Ask, second: Ask) -> None:
        """Deliver the pairs to both ends: the link's first endpoint holds the first halves."""
        place, count = first.place, first.count
        made = self._sources.generate(first, second)
        if made is None:
            return
        scheme, draw, number = made
        batch = Batch(np.repeat(pairs.from_density(scheme.state[np.newaxis]), count, axis=0), [None, None])
        title = f"{place.link}/{number}..{number + count - 1}"
        delivered = []
        for side, ask in ((0, first), (1, second)):
            self._ends.release(ask)
            self._nature.ledger.enter_batch(ask.node, place.run, count)
            self._given[ask.node] -= 1
            own, stored = self._given[ask.node], draw.times + scheme.stored_after[side]
            heralded = draw.times + scheme.heralded_after[side]
            halves = Halves(
                own,
                ask.node,
                place.run,
                title,
                batch,
                1 if side else 0,
                stored,
                stored,
                heralded,
                float(heralded[-1]),
            )
            batch.halves[side] = self._held[ask.node][own] = halves
            delivered.append((ask.ticket, DeliveredPairs(own, number, heralded)))
        for ticket, outcome in delivered:
            self._ends.settle(ticket, outcome)

    def _touch(self, halves: Halves, at: float, *, answered: bool = True) -> None:
        """Age the halves to ``at``."""
        if answered and halves.bereaved is not None:
            self._drop(halves)
            raise lost(halves, halves.bereaved)
        self._nature.clock.reconcile(at, float(halves.free_from.max()))
        self._nature.clock.observe(at)
        until = np.maximum(halves.free_from, at)
        memory = self._nature.world.nodes[halves.node].memories
        ages = (halves.touched - halves.stored, until - halves.stored)
        halves.batch.states = aged(halves.batch.states, halves.side, memory, *ages)
        halves.touched = halves.free_from = until

    def _find(self, node: str, batch: int) -> Halves:
        if node not in self._held:
            raise BadRequest(f"there is no node {node!r}.")
        if batch in self._held[node]:
            return self._held[node][batch]
        if self._given[node] <= batch < 0:
            raise NoSuchQubit(f"{node} no longer holds batch {batch}: it was measured, swapped or discarded.")
        raise NotYours(f"{node} does not hold batch {batch}: only the holder may act on it.")

    def _check_lengths(self, halves: Halves, count: int) -> None:
        if len(halves.touched) != count:
            raise BadRequest(
                f"batch {halves.number} has {len(halves.touched)} pairs, and {count} were addressed."
            )

    def _drop(self, halves: Halves) -> None:
        halves.batch.trace_out(halves.side)
        self._leave(halves)

    def _leave(self, halves: Halves) -> None:
        del self._held[halves.node][halves.number]
        self._nature.ledger.leave_batch(halves.node, halves.run, len(halves.touched))

    def _rng(self, halves: Halves) -> np.random.Generator:
        return self._nature.rng(f"node/{halves.node}", halves.run)


def aged(states: Tensors, side: Side, memory: MemoryConfig, since: Times, until: Times) -> Tensors:
    """Return the states after storage of one half of pair i from age ``since[i]`` to ``until[i]``."""
    duration = until - since
    if memory.dephasing == "gaussian":
        coherence = np.exp((since**2 - until**2) / memory.t2**2)
    else:
        coherence = np.exp(-duration / memory.t2)
    rate = 1 / memory.t1 + 1 / memory.depolarising_time
    if not rate and (coherence == 1).all():
        return states
    # relaxation and depolarising do not commute: both act all the time, as in world/memory.py
    lost = -np.expm1(-rate * duration)
    drawn = (1 / memory.t1) / rate * lost if rate else lost
    coherence = coherence * np.exp(-duration / memory.depolarising_time)
    return pairs.relax(states, side, lost, coherence, drawn)


def correlation_kept(gates: GateConfig) -> float:
    """Return what the noise of a two-qubit gate leaves of the correlations of its two qubits."""
    if gates.two_qubit_noise == "joint":
        return gates.two_fidelity
    return float((1 - 4 * (1 - gates.two_fidelity**0.5) / 3) ** 2)


def read_out(bits: Codes, gates: GateConfig, rng: np.random.Generator) -> Codes:
    """Return the outcomes as the detector reports them."""
    errors = np.where(bits == 1, gates.readout_error_1, gates.readout_error_0)
    return bits ^ (rng.random(len(bits)) < errors).astype(np.uint8)
