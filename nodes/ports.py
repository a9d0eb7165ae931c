"""All that a protocol sees of the world: qubits, links, peers, time and chance.

A role of a protocol is a coroutine whose arguments are these ports. Gates are statements and return nothing;
whatever returns knowledge (an outcome, a click, a message, the arrival of a pair) is awaited.
The real implementations are in ``nodes.runtime``; ``nodes.runtime.in_memory`` runs the same roles without a process,
a broker or a server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from nodes.agreement import LinkAgreement
from nodes.errors import ProgramInvalid
from nodes.trains import Train, TrainClicks

Basis = Literal["X", "Y", "Z"]
Bits = NDArray[np.uint8]
"""An array of 0 and 1, one element a bit."""

MessageT = TypeVar("MessageT")
RoleT = TypeVar("RoleT", bound=Callable[..., object])


class BellOutcome(NamedTuple):
    """Which Bell state was found: (X^x Z^z (x) I) |Phi+>, so 00 Phi+, 01 Phi-, 10 Psi+, 11 Psi- for (x, z)."""

    x: int
    z: int


class Qubit(Protocol):
    """One qubit in this node's memory. A measured, discarded or sent qubit is gone and frees its memory."""

    def x(self) -> None:
        """Apply the Pauli X."""

    def y(self) -> None:
        """Apply the Pauli Y."""

    def z(self) -> None:
        """Apply the Pauli Z."""

    def h(self) -> None:
        """Apply the Hadamard gate."""

    def s(self) -> None:
        """Apply S = diag(1, i)."""

    def t(self) -> None:
        """Apply T = diag(1, e^(i pi/4))."""

    def rx(self, angle: float) -> None:
        """Rotate by ``angle`` radians about the x axis: exp(-i angle X / 2)."""

    def ry(self, angle: float) -> None:
        """Rotate by ``angle`` radians about the y axis: exp(-i angle Y / 2)."""

    def rz(self, angle: float) -> None:
        """Rotate by ``angle`` radians about the z axis: exp(-i angle Z / 2)."""

    def cnot(self, target: Qubit) -> None:
        """Apply X to ``target`` where this qubit is 1."""

    def cz(self, other: Qubit) -> None:
        """Apply the controlled phase, symmetric in both qubits."""

    def swap(self, other: Qubit) -> None:
        """Exchange the states of both qubits."""

    def apply(self, unitary: NDArray[np.complex128], *others: Qubit) -> None:
        """Apply a 2^k x 2^k unitary to this qubit and ``others``, this one most significant."""

    async def measure(self, basis: Basis = "Z") -> int:
        """Measure and consume the qubit; 0 is the +1 eigenstate of the basis' Pauli operator."""

    async def bell_measure(self, other: Qubit) -> BellOutcome:
        """Measure both qubits in the Bell basis and consume them. Raises ``MeasurementFailed``, by chance."""

    async def discard(self) -> None:
        """Give the qubit up: it is traced out and its memory is free."""


class Memory(Protocol):
    """This node's quantum memories."""

    async def qubit(self) -> Qubit:
        """Initialise a free memory to |0>."""

    async def store(self, qubit: Qubit) -> None:
        """Move a qubit to this node's storage, where it disturbs nothing and waits: it takes a two-qubit gate."""

    async def retrieve(self, qubit: Qubit) -> None:
        """Move a qubit from storage back to a free memory, by a two-qubit gate."""


@dataclass(frozen=True, slots=True)
class Half:
    """This node's half of a heralded pair. ``pair`` is the id that both ends hold; ``heralded_at`` in seconds."""

    pair: str
    qubit: Qubit
    heralded_at: float


@dataclass(frozen=True, slots=True)
class Clicks:
    """What a receiver saw of a train of pulses.

    ``clicked[i]`` is 1 where pulse i made a detector click; ``bits[i]`` is the outcome there and 0 elsewhere.
    """

    clicked: Bits
    bits: Bits


@dataclass(frozen=True, slots=True)
class PairOutcomes:
    """What this end found of pairs measured on arrival; the peer's arrays have the same pairs in the same order.

    ``bases`` (0 is Z, 1 is X, 2 is Y, or indices of the angles measured along) and ``bits`` of each; at ``known_at``,
    in seconds, this end knew its bit and that the other had its half.
    """

    bases: Bits
    bits: Bits
    known_at: NDArray[np.float64]


class Halves(Protocol):
    """This node's halves of many heralded pairs, treated alike and at once. Measured or discarded, they are gone.

    Arrays have one element a pair, in the order of heralding; the peer's halves are in the same order. Raises
    ``QubitGone`` when the halves are gone, ``ProgramInvalid`` for arrays of another length.
    """

    @property
    def pairs(self) -> list[str]:
        """List the pairs' ids, which both ends hold. After a swap at the other end each half keeps its own."""

    @property
    def heralded_at(self) -> NDArray[np.float64]:
        """Tell when this node heard of each pair, in seconds."""

    def __len__(self) -> int:
        """Count the pairs."""

    def correct(self, x: Bits, z: Bits) -> None:
        """Apply X^x[i] Z^z[i] to half i, as after ``bell_measure`` at the other end: all halves at the same time."""

    async def measure(self, bases: Bits) -> Bits:
        """Measure and consume all, half i in ``bases[i]`` (0 is Z, 1 is X, 2 is Y)."""

    async def bell_measure(self, other: Halves) -> tuple[Bits, Bits]:
        """Measure half i of these and of the others in the Bell basis and consume them; the outcomes x and z."""

    async def discard(self) -> None:
        """Give all up: they are traced out and their memories are free."""


class QuantumLink(Protocol):
    """The quantum channel to one neighbour. Both ends must take part in whatever crosses it."""

    @property
    def peer(self) -> str:
        """Name the node at the other end."""

    @property
    def agreement(self) -> LinkAgreement:
        """Tell how keys are made on this link, as its two ends have agreed."""

    async def pair(self) -> Half:
        """Wait for the next heralded pair, in |Phi+> up to the link's noise. The peer must ask for it, too."""

    async def pairs(self, count: int) -> Halves:
        """Wait for the next ``count`` heralded pairs, all of them. The peer must ask for as many."""

    async def measure_directly(
        self, count: int, bases: Bits | None = None, angles: Sequence[float] = ()
    ) -> PairOutcomes:
        """Wait for the next ``count`` heralded pairs and measure half i on its arrival in ``bases[i]``.

        No half enters a memory: neither its noise nor its size matters. With ``angles`` in radians, at most 64, a basis
        is the index of one of them, and the angle a is that of cos(a) Z + sin(a) X. Without bases this end's device
        draws them: Z as often as the link says, or X; of angles each alike. The peer must ask for as many. Raises
        ``ProgramInvalid`` unless there is a basis for each.
        """

    async def send(self, qubit: Qubit) -> None:
        """Put the qubit on the fibre; it is no longer this node's."""

    async def receive(self) -> Qubit | None:
        """Wait for the qubit that the peer puts on the fibre; None when it was lost on the way."""

    async def send_pulses(self, bits: Bits, bases: Bits, intensities: Bits | None = None) -> None:
        """Emit one pulse per element: basis 0 is Z, 1 is X; the bit selects the eigenstate.

        ``intensities[i]`` is an index into the mean photon numbers of the link's transmitter, None its first for all.
        """

    async def measure_pulses(self, bases: Bits) -> Clicks:
        """Measure the peer's next train of pulses, pulse i in ``bases[i]`` (0 is Z, 1 is X)."""

    async def emit_train(self, count: int, *, ahead: bool = False) -> Train:
        """Emit ``count`` pulses whose bits, bases and intensities the transmitter draws; only detections cost time.

        Return when the last has left; ``ahead`` of that, when they are on order: they follow those ordered before.
        """

    async def measure_train(self, count: int) -> TrainClicks:
        """Measure the peer's next train of ``count`` drawn pulses; the receiver draws the bases."""


class Peer(Protocol):
    """Another party: an address to which frozen dataclasses can be sent, in order, each exactly once."""

    @property
    def name(self) -> str:
        """Name the peer's node."""

    async def send(self, message: object) -> None:
        """Send a message: a frozen dataclass of numbers, strings, bytes and tuples; bit arrays go packed."""

    async def receive(self, kind: type[MessageT]) -> MessageT:
        """Wait for the peer's next message, which must be of ``kind``."""


class Correspondent(Peer, Protocol):
    """A peer with whom several conversations can be held side by side. Annotate: ``bob: Correspondent``."""

    def conversation(self, name: str) -> Peer:
        """Return another conversation with the same party: its messages come in an order of their own.

        The party must take part under the same name: a letter, then letters, digits or hyphens.
        """


Peers: TypeAlias = Mapping[str, Peer]
"""All parties of a role that several nodes play, by role: leaf1, leaf2. A parameter ``leaf: Peers`` gets them."""


class Clock(Protocol):
    """This node's clock of emulated time, in seconds since the lab began."""

    def now(self) -> float:
        """Return the emulated time."""

    async def sleep(self, duration: float) -> None:
        """Let ``duration`` seconds of emulated time pass."""


class Coin(Protocol):
    """This node's source of random bits."""

    def bits(self, count: int, probability: float = 0.5) -> Bits:
        """Toss ``count`` coins that show 1 with ``probability``."""

    def integers(self, high: int, count: int) -> NDArray[np.int64]:
        """Draw ``count`` integers uniformly from 0 .. high-1."""

    def choose(self, population: int, count: int) -> NDArray[np.int64]:
        """Draw ``count`` different integers from 0 .. population-1, sorted."""

    def permutation(self, population: int) -> NDArray[np.int64]:
        """Shuffle 0 .. population-1."""

    def uniform(self) -> float:
        """Draw a number uniformly from [0, 1)."""

    def secret(self, length: int) -> bytes:
        """Draw ``length`` random bytes, the same again in a run with the same seed."""

    def unique(self, length: int) -> bytes:
        """Draw ``length`` bytes that never come again, not in a run with the same seed either: for nonces and ids."""


class SharedSecret:
    """What this node shares with one peer since before the protocol: the root of message authentication.

    ``session`` names the run and its round and is the same at both ends. The secret is given away once for every two
    roles, so that no one-time key derived from (secret, session) comes twice; its ``repr`` does not show it.
    """

    __slots__ = ("_claimed", "_secret", "session")

    def __init__(self, secret: bytes, session: str) -> None:
        self.session = session
        self._secret = secret
        self._claimed: set[frozenset[str]] = set()

    def __repr__(self) -> str:
        return f"<SharedSecret of {self.session}>"

    def claim(self, role: str, peer_role: str) -> bytes:
        """Return the secret for the messages between two roles. Raises ``ProgramInvalid`` the second time."""
        roles = frozenset((role, peer_role))
        if roles in self._claimed:
            raise ProgramInvalid(
                f"the secret shared in {self.session} authenticates the messages between '{role}' and "
                f"'{peer_role}' already; make one AuthenticatedPeer and use it for the whole round"
            )
        self._claimed.add(roles)
        return self._secret


class HalfWith:
    """Ask the runtime for a fresh half of a pair shared with a role, over as many swaps as the path needs.

    Use as an annotation: ``half: Annotated[Qubit, HalfWith("bob")]``.
    """

    def __init__(self, role: str) -> None:
        self.role = role


class Unknown:
    """Ask the runtime for a qubit in a random pure state that only the referee knows.

    Use as an annotation: ``psi: Annotated[Qubit, Unknown()]``.
    """


class Rounds(int):
    """Ask the runtime how many rounds are to be played: ``rounds: Rounds``."""


def several(role: RoleT) -> RoleT:
    """Let several nodes play a role: with ``@several``, ``leaf`` is the role of ``leaf1``, ``leaf2`` and so on."""
    role.several = True  # type: ignore[attr-defined]
    return role


class Referee(Protocol):
    """The view from outside that no node has: true states, for tests and experiments. All of it is ``oracle`` data."""

    async def fidelity(self, qubits: Sequence[Qubit], target: NDArray[np.complex128]) -> float:
        """Return <target| rho |target> for the qubits' joint state; ``target`` is a state vector of length 2^k."""

    async def density_matrix(self, qubits: Sequence[Qubit]) -> NDArray[np.complex128]:
        """Return the qubits' reduced density matrix, the first qubit most significant."""
