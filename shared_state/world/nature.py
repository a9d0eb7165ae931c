"""Nature: what happens to a qubit when its holder acts on it.

Every operation first ages the qubits it touches to its emulated time, then acts, then adds the noise of the
node's devices. Nothing here waits, and nothing reads a state but the oracle's methods at the end. What is learnt about
a large cluster is known later; all dice for it are thrown when it is asked for, so its being late changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from shared_state.clock import LabClock
from shared_state.config import WorldConfig
from shared_state.dice import Dice
from shared_state.engine import gates, measures
from shared_state.engine.bases import Basis
from shared_state.engine.errors import ClusterTooLarge as EngineClusterTooLarge
from shared_state.engine.errors import EngineError
from shared_state.engine.joint_state import JointState
from shared_state.engine.later import Later
from shared_state.errors import (
    BadRequest,
    ClusterTooLarge,
    LinkDown,
    MeasurementFailed,
    NotYours,
    PartnerLost,
    QubitExpired,
)
from shared_state.ledger import Bereavement, Holding, Ledger, Place
from shared_state.world.keeping import Keeping
from shared_state.world.memory import initial_state
from shared_state.world.operations import add_gate_noise, add_move_noise, gate_duration, readout
from shared_state.world.presence import Presence


class Nature:
    """The joint state, who holds what of it, and the nodes' own devices.

    Times are emulated seconds; ``node`` is who asks. Every method that takes qubits raises NotYours or
    NoSuchQubit for one that the node does not hold, QubitExpired for one that it kept past a cut-off, and
    TimeReversed in virtual time, also when the qubit is busy. An operation acts when it begins.
    """

    def __init__(self, world: WorldConfig, clock: LabClock, dice: Dice) -> None:
        self.world = world
        self.clock = clock
        self._dice = dice
        self.state = JointState(world.max_qubits)
        self.ledger = Ledger(
            {name: node.memories.count for name, node in world.nodes.items()},
            {name: node.storage.count for name, node in world.nodes.items() if node.storage},
        )
        self.keeping = Keeping(world, clock, self.state, self.ledger)
        self.attempts = self.keeping.attempts
        self.presence = Presence()
        self._labels = 0

    def qubit(self, node: str, at: float, run: str) -> int:
        """Initialise a free memory to |0>, as well as it can. Raises NoFreeMemory and RunClosed."""
        self.presence.check_open(node, run)
        self.keeping.make_room(node, at, run)
        self.ledger.check_free(node)
        self.clock.observe(at)
        devices = self.world.nodes[node]
        (label,) = self.new_qubits(initial_state(devices.memories))
        holding = Holding(label)
        self.ledger.enter(holding, node, run, at)
        holding.free_from = at + devices.gates.initialisation_duration
        return holding.qubit

    def gate(self, node: str, at: float, name: str, qubits: Sequence[int], angles: Sequence[float]) -> None:
        """Apply a named gate and the node's gate noise. After a ``swap`` the partners have changed places, too."""
        try:
            matrix = gates.unitary(name, angles)
        except EngineError as error:
            raise BadRequest(str(error)) from error
        holdings = self._apply(node, at, matrix, qubits)
        if name == "swap":
            holdings[0].exchange(holdings[1])
            for holding in holdings:  # both begin anew in the other's memory, as when they are moved
                holding.stored = holding.touched

    def unitary(self, node: str, at: float, matrix: NDArray[np.complex128], qubits: Sequence[int]) -> None:
        """Apply any unitary, shape (2^k, 2^k), and the node's gate noise."""
        try:
            checked = gates.check_unitary(matrix)
        except EngineError as error:
            raise BadRequest(str(error)) from error
        self._apply(node, at, checked, qubits)

    def measure(self, node: str, at: float, qubit: int, basis: Basis) -> Later[int]:
        """Measure and consume a qubit; return the outcome as the node's detector reports it."""
        (holding,) = self.touch(node, at, [qubit], answered=True)
        devices, rng = self.world.nodes[node].gates, self.rng(f"node/{node}", holding.run)
        outcome = self.state.measure_later(holding.label, basis, rng.random())
        misread = rng.random()
        self.ledger.leave(holding)
        holding.part()
        return outcome.map(lambda bit: readout(bit, devices, misread))

    def bell_measure(self, node: str, at: float, first: int, second: int) -> Later[tuple[int, int]]:
        """Measure two qubits in the Bell basis and consume them: one two-qubit gate, two readouts.

        Where both were halves of pairs, their partners are now each other's: an entanglement swap. Raises
        MeasurementFailed where the device has not succeeded: both are traced out.
        """
        one, other = holdings = self.touch(node, at, [first, second], answered=True)
        devices, rng = self.world.nodes[node].gates, self.rng(f"node/{node}", one.run)
        if devices.bell_success < 1 and rng.random() >= devices.bell_success:
            for holding in holdings:
                self.drop(holding)
            raise MeasurementFailed(
                f"the Bell measurement of the qubits {first} and {second} has told nothing."
            )
        with _named(holdings):
            add_gate_noise(self.state, devices, [one.label, other.label])
            outcome = self.state.bell_measure_later(one.label, other.label, rng.random())
        left, right = one.partner, other.partner
        for holding in holdings:
            self.ledger.leave(holding)
            holding.part()
        if left is not None and right is not None and left is not other:
            self.keeping.acquaint(left, right, node, (one, other))
        for mine, far in ((one, right), (other, left)):
            if (
                mine.bereaved is not None and far is not None
            ):  # what is lost by now is lost to the swapped pair
                far.bereaved = mine.bereaved._replace(pair=far.pair)
        misread = rng.random(), rng.random()
        return outcome.map(
            lambda bits: (readout(bits[0], devices, misread[0]), readout(bits[1], devices, misread[1]))
        )

    def discard(self, node: str, at: float, qubit: int) -> None:
        """Trace a qubit out; one that has expired, or is half of a pair that is lost, is gone by that already."""
        with suppress(QubitExpired, PartnerLost, LinkDown):
            (holding,) = self.touch(node, at, [qubit], answered=True)
            self.drop(holding)

    def store(self, node: str, at: float, qubit: int) -> None:
        """Move a qubit from the memories to storage: a two-qubit gate. Raises BadRequest and NoFreeMemory."""
        self._move(node, at, qubit, "storage")

    def retrieve(self, node: str, at: float, qubit: int) -> None:
        """Move a qubit from storage back to the memories, like ``store``."""
        self._move(node, at, qubit, "memories")

    def hand_over(self, node: str, at: float, qubits: Sequence[int]) -> None:
        """Give qubits to the referee, with whom they age no more. Raises LimitExceeded."""
        self.ledger.hand_over(node, self.touch(node, at, qubits, answered=True))

    def drop_run(self, node: str, run: str) -> int:
        """Trace out what the node holds of a run; return how many qubits that were."""
        dropped = self.ledger.of_node(node, run)
        for holding in dropped:
            self.drop(holding)
        return len(dropped)

    def depart(self, node: str) -> None:
        """Trace out all that the node holds; the other halves of its pairs will say so when they are used."""
        for holding in self.ledger.of_node(node):
            self.bereave(holding, node)
            self.drop(holding)

    def bereave(self, lost: Holding, node: str) -> None:
        """Let the partner of a half that is lost with its node know."""
        self.keeping.bereave(lost, Bereavement(node, lost.pair))

    def drop(self, holding: Holding) -> None:
        """Trace out a qubit that is in somebody's hands."""
        self.keeping.drop(holding)

    def vanish(self, holding: Holding) -> None:
        """Trace out a qubit that is in nobody's hands."""
        self.keeping.vanish(holding)

    def new_qubits(self, rho: NDArray[np.complex128]) -> list[int]:
        """Make qubits in the joint state ``rho`` and return their labels."""
        count = len(rho).bit_length() - 1
        labels = list(range(self._labels, self._labels + count))
        self._labels += count
        self.state.add(rho, labels)
        return labels

    def touch(self, node: str, at: float, qubits: Sequence[int], *, answered: bool) -> list[Holding]:
        """Age the node's qubits to ``at``, in real time to when all are free.

        Raises:
            QubitExpired: one was kept past its memory's cut-off.
            PartnerLost, QubitExpired: to an operation with an answer, once: the other half of its pair is lost. The
                qubit is discarded by that.
            LinkDown: likewise, when its link was cut before its herald.
        """
        holdings = [self.ledger.held_by(node, qubit) for qubit in qubits]
        _check_different(qubits)
        time = self.keeping.begin(holdings, at)
        for holding in holdings:
            self.keeping.check_kept(holding, time)
        if answered:
            for holding in holdings:
                self.keeping.check_partner(holding, time)
        self.clock.observe(at)
        for holding in holdings:
            self.keeping.age(holding, time)
            holding.free_from = time
        return holdings

    def rng(self, device: str, run: str) -> np.random.Generator:
        """Return a device's dice for whatever shares the run's course of time."""
        return self._dice.stream(device, self.clock.story(run))

    def density_matrix(self, qubits: Sequence[int]) -> Later[NDArray[np.complex128]]:
        """Return the reduced density matrix of anybody's qubits, as they were last touched. Oracle only."""
        _check_different(qubits)
        holdings = [self.ledger.find(qubit) for qubit in qubits]
        with _named(holdings):
            return self.state.reduced_later([holding.label for holding in holdings])

    def fidelity(self, qubits: Sequence[int], target: NDArray[np.complex128]) -> Later[float]:
        """Return <psi|rho|psi> for anybody's qubits. Oracle only."""
        try:
            measures.check_target(target, 2 ** len(qubits))
        except EngineError as error:
            raise BadRequest(str(error)) from error
        return self.density_matrix(qubits).map(lambda rho: measures.fidelity(rho, target))

    def discard_handed_over(self, qubits: Sequence[int]) -> None:
        """Trace out qubits that the referee holds. Oracle only."""
        _check_different(qubits)
        holdings = [self.ledger.find(qubit) for qubit in qubits]
        for holding in holdings:
            if holding.holder is not None:
                raise NotYours(f"qubit {holding.qubit} was not handed over, it is a node's.")
        for holding in holdings:
            self.drop(holding)

    def discard_run(self, run: str) -> int:
        """Trace out what the referee holds of a run and its parts, ``run/...``; return how many. Oracle only."""
        holdings = self.ledger.of_referee(run)
        for holding in holdings:
            self.drop(holding)
        return len(holdings)

    def discard_others(self, runs: Sequence[str]) -> int:
        """Trace out what the referee holds of any other runs than these; return how many qubits. Oracle only."""
        kept = {holding.label for run in runs for holding in self.ledger.of_referee(run)}
        others = [holding for holding in self.ledger.of_referee() if holding.label not in kept]
        for holding in others:
            self.drop(holding)
        return len(others)

    def _apply(
        self, node: str, at: float, matrix: NDArray[np.complex128], qubits: Sequence[int]
    ) -> list[Holding]:
        if len(matrix) != 2 ** len(qubits):
            raise BadRequest(f"an operator of shape {matrix.shape} does not act on {len(qubits)} qubit(s).")
        holdings = self.touch(node, at, qubits, answered=False)
        labels = [holding.label for holding in holdings]
        with _named(holdings):
            self.state.apply(matrix, labels)
        devices = self.world.nodes[node].gates
        add_gate_noise(self.state, devices, labels)
        for holding in holdings:
            holding.free_from += gate_duration(devices, len(qubits))
        return holdings

    def _move(self, node: str, at: float, qubit: int, to: Place) -> None:
        devices = self.world.nodes[node]
        (holding,) = self.touch(node, at, [qubit], answered=True)
        if devices.storage is None:
            raise BadRequest(f"{node} has no storage; give it one in the lab file.")
        if holding.place == to:
            raise BadRequest(f"qubit {qubit} lies in the {to} of {node} already.")
        self.keeping.make_room(node, at, holding.run)
        self.ledger.move(node, holding, to, holding.free_from)
        add_move_noise(self.state, devices.gates, holding.label)
        holding.free_from += devices.gates.two_duration


def _check_different(qubits: Sequence[int]) -> None:
    if len(set(qubits)) < len(qubits):
        raise BadRequest(f"the qubits {list(qubits)} are not all different.")


@contextmanager
def _named(holdings: Sequence[Holding]) -> Iterator[None]:
    """Refuse a cluster that is too large in terms of the ids that the asker knows.

    How large it would become depends on what others have done, and is none of the asker's business.
    """
    try:
        yield
    except EngineClusterTooLarge as error:
        names = ", ".join(str(holding.qubit) for holding in holdings)
        raise ClusterTooLarge(
            f"the qubits {names} would become part of too large a cluster of entangled qubits, and this "
            f"lab's max_qubits is {error.limit}: measure or discard some first."
        ) from error
