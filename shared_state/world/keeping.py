"""What time does to the qubits that nodes keep: they age, and where a memory has a cut-off they expire."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from shared_state.clock import ROUNDING, LabClock
from shared_state.config import LinkDevices, MemoryConfig, WorldConfig
from shared_state.engine.channels import Channel
from shared_state.engine.joint_state import JointState
from shared_state.errors import LinkDown, PartnerLost, QubitExpired, SharedStateError
from shared_state.ledger import Bereavement, Holding, Ledger
from shared_state.world.attempts import Attempts, Window
from shared_state.world.light_times import LightTimes
from shared_state.world.memory import decoherence


class Keeping:
    """The memories of all nodes. All of it is lazy: nothing happens before a qubit is touched."""

    def __init__(self, world: WorldConfig, clock: LabClock, state: JointState, ledger: Ledger) -> None:
        self._devices = world.nodes
        self._clock = clock
        self._state = state
        self._ledger = ledger
        self._light = LightTimes(world.links.values())
        self._cuts_off = {
            name: any(memory and memory.cutoff < inf for memory in (node.memories, node.storage))
            for name, node in world.nodes.items()
        }
        disturbed = [
            name
            for name, node in world.nodes.items()
            if any(memory and memory.attempt_dephasing for memory in (node.memories, node.storage))
        ]
        self.attempts = Attempts(disturbed, clock.story, self._catch_up)

    def survey(self, links: Iterable[LinkDevices]) -> None:
        """Measure anew how long news takes from node to node."""
        self._light = LightTimes(links)

    def drop(self, holding: Holding) -> None:
        """Trace out a qubit that is in somebody's hands."""
        self._ledger.leave(holding)
        self.vanish(holding)

    def vanish(self, holding: Holding) -> None:
        """Trace out a qubit that is in nobody's hands."""
        self._state.discard(holding.label)
        holding.part()

    def bereave(self, lost: Holding, reason: Bereavement) -> None:
        """Let the partner of a half that is lost know why."""
        if lost.partner is not None:
            lost.partner.bereaved = reason._replace(pair=lost.partner.pair)

    def acquaint(self, one: Holding, other: Holding, node: str, measured: tuple[Holding, Holding]) -> None:
        """Make two halves partners whose former partners, in the same order, ``node`` has just Bell-measured."""
        one.partner, other.partner = other, one
        for half, known in ((one, measured[1]), (other, measured[0])):
            if half.holder is not None:
                told = max(known.free_from, known.acquainted) + self._light.between(node, half.holder)
                half.acquainted = max(half.acquainted, told)

    def begin(self, holdings: Sequence[Holding], at: float) -> float:
        """Return when an operation stated for ``at`` begins: when all its qubits are free. Raises TimeReversed."""
        return max(self._clock.reconcile(at, max(holding.touched, holding.free_from)) for holding in holdings)

    def age(self, holding: Holding, to: float) -> None:
        """Let a qubit age up to ``to``."""
        if holding.holder is None or to <= holding.touched:
            return
        memory = self._memory(holding, holding.holder)
        attempts = 0
        if memory.attempt_dephasing:
            attempts = self.attempts.count(holding.holder, holding.run, holding.touched, to)
        self._decohere(
            holding,
            decoherence(memory, to - holding.touched, max(0.0, holding.touched - holding.stored), attempts),
        )
        holding.touched = to

    def check_kept(self, holding: Holding, time: float) -> None:
        """Discard a qubit that was kept past its memory's cut-off and raise QubitExpired."""
        if holding.holder is not None and time > self._expiry(holding, holding.holder):
            raise self._expire(holding, holding.holder)

    def check_partner(self, holding: Holding, time: float) -> None:
        """Discard a qubit whose pair's other half is known here at ``time`` to be lost.

        Raises PartnerLost when its node has departed, QubitExpired when it was kept past a cut-off and light has had
        the time to come from there, LinkDown when its link was cut before the herald; before that the qubit is as good
        as any. A half that is overdue stays with its holder, who may state an operation for an earlier time yet.
        """
        reason = holding.bereaved or self._overdue(holding.partner)
        if reason is not None and time > reason.since and time >= self._heard(holding, reason):
            self.drop(holding)
            raise _loss(holding, reason)

    def make_room(self, node: str, at: float, run: str) -> None:
        """Discard what the node has kept past a cut-off, of whatever shares the run's course of time."""
        if not self._cuts_off[node] or self._ledger.has_room(node):
            return  # with 10^5 qubits in memory, to look at each for every new one would be all there is time for
        story = self._clock.story(run)
        for holding in self._ledger.of_node(node):
            if self._clock.story(holding.run) == story and at > self._expiry(holding, node):
                self._expire(holding, node)

    def _expire(self, holding: Holding, node: str) -> QubitExpired:
        reason = self._overdue(holding)
        if reason is not None:
            self.bereave(holding, reason)
        error = self._ledger.expire(holding, node, self._memory(holding, node).cutoff)
        self.vanish(holding)
        return error

    def _heard(self, holding: Holding, reason: Bereavement) -> float:
        """Return from when the holder of a half can know that the other one is lost.

        A departure is the end of a session, not an event of the emulated world: it is known at once.
        """
        if holding.holder is None or reason.since == -inf:
            return -inf
        news = reason.since + self._light.between(reason.node, holding.holder)
        heard = max(news, holding.acquainted)
        return heard - 2 * ROUNDING * max(1.0, heard)  # who asks just then is told

    def _overdue(self, half: Holding | None) -> Bereavement | None:
        """Return what the partner of a half learns when the half's cut-off has passed."""
        if half is None or half.holder is None:
            return None
        memory = self._memory(half, half.holder)
        return Bereavement(half.holder, half.pair, memory.cutoff, self._expiry(half, half.holder))

    def _expiry(self, holding: Holding, node: str) -> float:
        expiry = holding.stored + self._memory(holding, node).cutoff
        return expiry + ROUNDING * max(1.0, expiry)  # who comes just in time is not late

    def _memory(self, holding: Holding, node: str) -> MemoryConfig:
        devices = self._devices[node]
        return devices.storage if holding.place == "storage" and devices.storage else devices.memories

    def _catch_up(self, node: str, story: str, window: Window, forgotten: bool) -> None:
        """Apply what a window does before a qubit's last touch, or the rest of it when it will be forgotten."""
        for holding in self._ledger.of_node(node):
            memory = self._memory(holding, node)
            if memory.attempt_dephasing and self._clock.story(holding.run) == story:
                done, rest = (holding.stored, holding.touched), (holding.touched, window.end)
                attempts = window.between(*(rest if forgotten else done))
                self._decohere(holding, decoherence(memory, 0.0, attempts=attempts))

    def _decohere(self, holding: Holding, channel: Channel | None) -> None:
        if channel is not None:
            self._state.apply_channel(channel, [holding.label])


def _loss(holding: Holding, reason: Bereavement) -> SharedStateError:
    if reason.link:
        return LinkDown(
            f"link {reason.link!r} was cut before the herald of pair {reason.pair} had come; "
            f"qubit {holding.qubit} is discarded."
        )
    if reason.cutoff < inf:
        return QubitExpired(
            f"the other half of pair {reason.pair}, kept by {reason.node}, was discarded when the cut-off of "
            f"its memory, {reason.cutoff:g} s, had passed; qubit {holding.qubit} is discarded, too.",
            node=reason.node,
        )
    return PartnerLost(
        f"{reason.node} has departed and the other half of pair {reason.pair} was traced out; "
        f"qubit {holding.qubit} is discarded.",
        node=reason.node,
    )
