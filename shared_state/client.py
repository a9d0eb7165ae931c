"""What a node of the lab sees of the quantum world: one typed method for every operation.

Gates are posted: they return at once, travel together and report their failure with the next answer.
Whatever returns knowledge is awaited. Times are emulated seconds, always stated by the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from shared_state.arguments import MAX_PULSES, Bits, Despatch, pack_bits, unpack_bits
from shared_state.conversation import Durations
from shared_state.deliveries import (
    Arrival,
    Detection,
    DrawnTrain,
    PairDelivery,
    PairOutcomes,
    PairsDelivery,
    Settings,
    TrainClicks,
)
from shared_state.dialling import LocalDialler
from shared_state.errors import BadRequest
from shared_state.line import HandOver, Line
from shared_state.party import Party, binary, fields, integer, number
from shared_state.wire import Message

if TYPE_CHECKING:
    from shared_state.service import Service

Basis = Literal["X", "Y", "Z"]


class Turn(NamedTuple):
    """It is this node's turn at emulated ``time``. ``arrivals`` are the messages that are there now, by sender, session
    and sequence; ``stalled`` says who waits for whom when nothing is due to anybody. ``number`` is greater than that of
    the last turn, unless that one was ended before all was heard, and goes on."""

    time: float
    arrivals: list[tuple[str, str, int]]
    stalled: str
    number: int

    @classmethod
    def read(cls, answer: Message) -> Turn:
        """Read the server's answer to the end of a turn."""
        time, arrivals, stalled, count = fields(answer)
        return cls(
            number(time), [_key(arrival) for arrival in fields(arrivals)], str(stalled), integer(count)
        )


class NodeClient(Party):
    """A node's hold on the quantum world: it acts on its own qubits and learns outcomes, nothing else."""

    role: Literal["node", "oracle"] = "node"

    @classmethod
    async def local(cls, service: Service, *, name: str) -> Self:
        """Open a session on a service in this process: the same requests and answers, without a socket."""
        token = service.config.credentials[name]
        line = Line(LocalDialler(service), lab=service.config.lab, name=name, token=token, role=cls.role)
        await line.open()
        return cls(line)

    @property
    def durations(self) -> Durations:
        """How long this node's operations take."""
        return self._line.welcome.durations

    def now(self) -> float:
        """Return the lab's emulated time; in virtual mode, the latest there was when this session began."""
        return self._line.emulated_now()

    def end_turn(
        self, until: float | None, despatched: Sequence[Despatch], waits: Sequence[str]
    ) -> asyncio.Future[Message]:
        """End this node's turn in virtual time; return the next one, for ``Turn.read``.

        It comes at ``until``, or when something is due before. ``despatched`` are the messages that this node has sent,
        ``waits`` says what it waits for that others have to bring about.
        """
        return self._line.request("turn", until, [list(each) for each in despatched], list(waits))

    def wake(self, time: float) -> None:
        """Ask for a turn at ``time``, or now if that has passed."""
        self._line.post("wake", time)

    @property
    def recorded(self) -> bool:
        """Tell whether the lab's events are recorded: then ``note`` is heard."""
        return self._line.welcome.recorded

    def note(self, at: float, session: str, event: str, details: dict[str, Message]) -> None:
        """Tell the record of what only this node knows: one of ``shared_state.arguments.NODE_EVENTS``."""
        self._line.post("note", at, session, event, details)

    def hand_answers_over_by(self, choose: Callable[[], HandOver]) -> None:
        """Let ``choose`` say, whenever something is asked, who hands the answer over."""
        self._line.handed_over_by = choose

    async def qubit(self, at: float, run: str) -> int:
        """Initialise a free memory to |0> and return the qubit's id."""
        (qubit,) = fields(await self._line.ask("qubit", at, run))
        return integer(qubit)

    def gate(self, at: float, name: str, qubits: Sequence[int], *angles: float) -> None:
        """Apply a named gate (x y z h s t rx ry rz cnot cz swap); angles in radians."""
        self._line.post("gate", at, name, list(qubits), list(angles))

    def unitary(self, at: float, matrix: NDArray[np.complex128], qubits: Sequence[int]) -> None:
        """Apply a 2^k x 2^k unitary, the first qubit most significant."""
        self._line.post("unitary", at, np.asarray(matrix, dtype=np.complex128).tobytes(), list(qubits))

    async def measure(self, at: float, qubit: int, basis: Basis) -> int:
        """Measure and consume the qubit; 0 is the +1 eigenstate of the basis' Pauli operator."""
        return integer(await self._line.ask("measure", at, qubit, basis))

    async def bell_measure(self, at: float, first: int, second: int) -> tuple[int, int]:
        """Measure both in the Bell basis and consume them; (x, z) stands for (X^x Z^z (x) I)|Phi+>."""
        x, z = fields(await self._line.ask("bell_measure", at, first, second))
        return integer(x), integer(z)

    async def discard(self, at: float, qubit: int) -> None:
        """Give the qubit up: it is traced out and its memory is free."""
        await self._line.ask("discard", at, qubit)

    async def store(self, at: float, qubit: int) -> None:
        """Move the qubit to this node's storage, under the same id: a two-qubit gate."""
        await self._line.ask("store", at, qubit)

    async def retrieve(self, at: float, qubit: int) -> None:
        """Move the qubit from storage back to the memories."""
        await self._line.ask("retrieve", at, qubit)

    async def pair(self, at: float, run: str, link: str, *, alpha: float | None = None) -> PairDelivery:
        """Wait for a heralded pair on a link. The other end must ask for it, too, under the same run.

        ``alpha``, between 0 and 1, is the bright-state population of the emitters of a single-click source, at both
        ends, in place of the link's own: the higher, the more pairs, and the worse. The other end must ask for the
        same. Raises BadRequest where it does not, and for any other source; LinkDown while the link is cut.
        """
        qubit, pair, time = fields(await self._line.ask("pair", at, run, link, alpha))
        return PairDelivery(str(pair), integer(qubit), number(time))

    async def pairs(
        self, at: float, run: str, link: str, count: int, *, alpha: float | None = None
    ) -> PairsDelivery:
        """Wait for ``count`` pairs on a link, as for one. The other end must ask for as many, under the same run."""
        batch, first, times = fields(await self._line.ask("pairs", at, run, link, count, alpha))
        return PairsDelivery(integer(batch), integer(first), np.frombuffer(binary(times)))

    async def measure_directly(
        self,
        at: float,
        run: str,
        link: str,
        count: int,
        bases: Bits | None = None,
        *,
        angles: Sequence[float] = (),
        alpha: float | None = None,
    ) -> PairOutcomes:
        """Wait for the outcomes of ``count`` pairs measured on arrival, half i in ``bases[i]``; no memory is needed.

        The other end must ask for as many, under the same run. A basis is a code, 0 for Z, 1 for X and 2 for Y, or,
        where there are ``angles`` in radians, at most 64, the index of the angle a of cos(a) Z + sin(a) X. Without
        bases this end's device draws them: Z or X, or any angle alike. ``alpha`` as for ``pair``.
        """
        codes = None if bases is None else np.asarray(bases, dtype=np.uint8).tobytes()
        asked = self._line.ask("measure_directly", at, run, link, count, codes, alpha, list(angles))
        answer = fields(await asked)
        measured = np.frombuffer(binary(answer[0]), dtype=np.uint8)
        return PairOutcomes(measured, unpack_bits(answer[1]), np.frombuffer(binary(answer[2])))

    async def swap_pairs(self, at: float, first: int, second: int) -> tuple[Bits, Bits]:
        """Bell-measure half i of one batch with half i of another and consume them; outcomes x and z of each."""
        x, z = fields(await self._line.ask("swap_pairs", at, first, second))
        return unpack_bits(x), unpack_bits(z)

    def correct_pairs(self, at: float, batch: int, x: Bits, z: Bits) -> None:
        """Apply X^x[i] Z^z[i] to half i of a batch."""
        self._line.post("correct_pairs", at, batch, pack_bits(x), pack_bits(z))

    async def measure_pairs(self, at: float, batch: int, bases: Bits) -> Bits:
        """Measure and consume a batch, half i in ``bases[i]``: 0 is Z, 1 is X, 2 is Y."""
        codes = np.asarray(bases, dtype=np.uint8).tobytes()
        return unpack_bits(await self._line.ask("measure_pairs", at, batch, codes))

    async def discard_pairs(self, at: float, batch: int) -> None:
        """Give a batch up: its halves are traced out and their memories are free."""
        await self._line.ask("discard_pairs", at, batch)

    async def transmit(self, at: float, run: str, link: str, qubit: int) -> None:
        """Put a qubit on a link's fibre, towards the other end."""
        await self._line.ask("transmit", at, run, link, qubit)

    async def receive(self, at: float, run: str, link: str) -> Arrival:
        """Wait for the next qubit that the other end transmits under this run."""
        qubit, time = fields(await self._line.ask("receive", at, run, link))
        return Arrival(None if qubit is None else integer(qubit), number(time))

    async def emit_pulses(
        self, at: float, run: str, link: str, bits: Bits, bases: Bits, intensities: Bits | None = None
    ) -> float:
        """Emit one pulse per element (basis 0 is Z, 1 is X); return when the last has left.

        ``intensities[i]`` is the index of pulse i's mean photon number among those of the link's transmitter; None
        takes the first for all. A train goes in parts of ``MAX_PULSES``, at both ends alike.
        """
        left = at
        for part in _parts(max(len(bits), len(bases))):
            codes = None if intensities is None else intensities[part].astype(np.uint8).tobytes()
            train = (pack_bits(bits[part]), pack_bits(bases[part]), codes)
            left = number(await self._line.ask("emit_pulses", at, run, link, *train))
        return left

    async def measure_pulses(self, at: float, run: str, link: str, bases: Bits) -> Detection:
        """Wait for the other end's next train of pulses under this run; measure pulse i in ``bases[i]``."""
        seen: list[Detection] = []
        for part in _parts(len(bases)):
            answer = await self._line.ask("measure_pulses", at, run, link, pack_bits(bases[part]))
            clicked, bits, time = fields(answer)
            seen.append(Detection(unpack_bits(clicked), unpack_bits(bits), number(time)))
            at = max(at, number(time))  # where turns are taken, time has gone on meanwhile
        clicks = np.concatenate([each.clicked for each in seen])
        return Detection(clicks, np.concatenate([each.bits for each in seen]), seen[-1].time)

    async def emit_train(self, at: float, run: str, link: str, count: int) -> DrawnTrain:
        """Emit ``count`` pulses, at least one, whose bit, basis and intensity the transmitter draws."""
        parts: list[tuple[int, int]] = []
        left = at
        while count > 0 or not parts:
            train, sent, time = fields(await self._line.ask("emit_train", at, run, link, count))
            parts.append((integer(train), integer(sent)))
            count, left = count - integer(sent), number(time)
        return DrawnTrain(tuple(parts), left)

    async def measure_train(self, at: float, run: str, link: str, count: int) -> TrainClicks:
        """Wait for the other end's next train of ``count`` drawn pulses; the receiver draws the bases."""
        seen: list[TrainClicks] = []
        passed = 0
        while passed < count or not seen:
            answer = fields(await self._line.ask("measure_train", at, run, link, count - passed))
            indices = np.frombuffer(binary(answer[1]), dtype="<u4").astype(np.int64) + passed
            bases, bits = unpack_bits(answer[2]), unpack_bits(answer[3])
            seen.append(TrainClicks(indices, bases, bits, number(answer[4])))
            passed += integer(answer[0])
            at = max(at, number(answer[4]))  # where turns are taken, time has gone on meanwhile
        joined = [np.concatenate(arrays) for arrays in zip(*(each[:3] for each in seen), strict=True)]
        return TrainClicks(joined[0], joined[1], joined[2], seen[-1].time)

    async def recall(self, run: str, train: DrawnTrain, indices: NDArray[np.int64]) -> Settings:
        """Return the settings of the pulses at ``indices``, which ascend; after that the train is forgotten.

        Raises BadRequest for indices that do not ascend or are not of the train; then it is remembered still.
        """
        ends = np.cumsum([0, *(count for _, count in train.parts)])
        if len(indices) and (
            indices[0] < 0 or indices[-1] >= ends[-1] or (indices[1:] <= indices[:-1]).any()
        ):
            raise BadRequest(
                f"the indices must ascend, each once, and be below {ends[-1]}, the train's length."
            )
        cuts = np.searchsorted(indices, ends)
        recalled: list[Settings] = []
        for position, (part, _) in enumerate(train.parts):
            chosen = (indices[cuts[position] : cuts[position + 1]] - ends[position]).astype("<u4")
            bits, bases, codes = fields(await self._line.ask("recall", run, part, chosen.tobytes()))
            intensities = np.frombuffer(binary(codes), dtype=np.uint8)
            recalled.append(Settings(unpack_bits(bits), unpack_bits(bases), intensities))
        return Settings(*(np.concatenate(arrays) for arrays in zip(*recalled, strict=True)))

    async def tally(self, run: str, train: DrawnTrain) -> NDArray[np.int64]:
        """Return how many pulses of a train had each intensity (row) and basis (column Z, X); before its recall."""
        answers = [await self._line.ask("tally", run, part) for part, _ in train.parts]
        tallies = [np.frombuffer(binary(answer), dtype=np.int64).reshape(-1, 2) for answer in answers]
        total: NDArray[np.int64] = np.sum(tallies, axis=0)
        return total

    async def hand_over(self, at: float, qubits: Sequence[int]) -> None:
        """Give qubits to the referee: they leave this node's memories and age no more."""
        await self._line.ask("hand_over", at, list(qubits))

    async def close_run(self, run: str) -> int:
        """End this node's part of a run and return how many qubits that traced out.

        It cleans up in any case; then it raises the failure of a posted gate of the run, if one was kept.
        """
        return integer(await self._line.ask("close_run", run))


def _parts(pulses: int) -> list[slice]:
    """Divide a train; an empty one is one part, too."""
    return [slice(start, start + MAX_PULSES) for start in range(0, max(pulses, 1), MAX_PULSES)]


def _key(arrival: Message) -> tuple[str, str, int]:
    sender, session, sequence = fields(arrival)
    return str(sender), str(session), integer(sequence)
