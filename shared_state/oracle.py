"""The view from outside that no node has: true states and the whole inventory."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from shared_state.config import LinkDevices, TapConfig
from shared_state.devices import written
from shared_state.dialling import LocalDialler
from shared_state.line import Line
from shared_state.party import Party, binary, fields, integer, number
from shared_state.wire import Message
from shared_state.world.taps import TapReport

if TYPE_CHECKING:
    from shared_state.service import Service


@dataclass(frozen=True, slots=True)
class Census:
    """How much of everything the quantum world holds.

    ``qubits`` and ``clusters`` of the joint state; qubits ``held`` by each node and ``handed_over`` to the
    referee; memories ``reserved`` for qubits awaited; qubits and trains of pulses ``in_flight``; open
    ``sessions``; requests ``waiting`` for another party.
    """

    qubits: int
    clusters: int
    held: dict[str, int]
    handed_over: int
    reserved: int
    in_flight: int
    sessions: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Told:
    """How many events a server has told of so far; ``record`` is another one for every server, which counts from 0."""

    record: str
    count: int


@dataclass(frozen=True, slots=True)
class Passage:
    """Some events of a record in their order, a line of JSON each; ``first`` is the number of the first one."""

    first: int
    lines: list[str]

    @property
    def end(self) -> int:
        """Return the number of the event that comes next."""
        return self.first + len(self.lines)


class OracleClient(Party):
    """The view from outside that no node has: true states and the whole inventory."""

    role: Literal["node", "oracle"] = "oracle"

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._more: asyncio.Future[Message] | None = None
        self._reading = asyncio.Lock()

    @classmethod
    async def local(cls, service: Service, *, name: str = "control") -> Self:
        """Open an oracle session on a service in this process."""
        token = service.config.oracle_token
        line = Line(LocalDialler(service), lab=service.config.lab, name=name, token=token, role=cls.role)
        await line.open()
        return cls(line)

    async def density_matrix(self, qubits: Sequence[int]) -> NDArray[np.complex128]:
        """Return the reduced density matrix of the qubits in this order, the first most significant."""
        data = await self._line.ask("density_matrix", list(qubits))
        dimension = 2 ** len(qubits)
        return np.frombuffer(binary(data), dtype=np.complex128).reshape(dimension, dimension).copy()

    async def hold(self) -> float:
        """Let virtual time stand still until ``release``, or until this session ends; return it."""
        return number(await self._line.ask("hold"))

    async def release(self) -> None:
        """Let virtual time go on."""
        await self._line.ask("release")

    async def loss(self) -> tuple[str, str]:
        """Wait until a node is given up that has kept its turn for too long; return its name and the story."""
        name, story = fields(await self._line.ask("loss"))
        return str(name), str(story)

    async def close_record(self) -> tuple[int, str]:
        """End the record of the lab's events as soon as nothing more happens by itself.

        Return how many events there were, and why they were not all written, empty if they were.
        """
        count, failure = fields(await self._line.ask("close_record"))
        return integer(count), str(failure)

    async def told(self) -> Told:
        """Return how many events there have been. Raises BadRequest where the server keeps none for who asks."""
        record, count = fields(await self._line.ask("told", -1))
        return Told(str(record), integer(count))

    async def events(self, after: int) -> Passage:
        """Wait for events from number ``after`` on, which counts from 0; return the next ones.

        They begin later where those that were asked for are not kept any more. Raises BadRequest where the server keeps
        none for who asks.
        """
        while True:
            async with self._reading:  # what many ask for at a time would be too much for one session
                first, written = fields(await self._line.ask("events", after))
            passage = Passage(integer(first), binary(written).decode().split("\n")[:-1])
            if passage.lines or passage.first > after:
                return passage
            await asyncio.shield(self._told_beyond(passage.first))

    def _told_beyond(self, count: int) -> asyncio.Future[Message]:
        """Ask for more events, once for all who wait for them here: so who gives up leaves nothing behind."""
        if self._more is None or self._more.done():
            self._more = self._line.request("told", count)
            self._more.add_done_callback(lambda more: more.cancelled() or more.exception())
        return self._more

    async def fidelity(self, qubits: Sequence[int], target: NDArray[np.complex128]) -> float:
        """Return <psi|rho|psi> of the qubits with the normalised vector ``target``."""
        vector = np.asarray(target, dtype=np.complex128).tobytes()
        return number(await self._line.ask("fidelity", list(qubits), vector))

    async def pair_fidelities(self, node: str, batch: int) -> NDArray[np.float64]:
        """Return the fidelity with Phi+ of each pair of a node's batch."""
        return np.frombuffer(binary(await self._line.ask("pair_fidelities", node, batch)))

    async def discard(self, qubits: Sequence[int]) -> None:
        """Trace out qubits that were handed over."""
        await self._line.ask("discard_handed_over", list(qubits))

    async def discard_run(self, run: str) -> int:
        """Trace out all that was handed over of a run and its parts, ``run/...``; return how many qubits."""
        return integer(await self._line.ask("discard_run", run))

    async def discard_others(self, runs: Collection[str]) -> int:
        """Trace out all that was handed over but what is of ``runs`` and their parts; return how many qubits."""
        return integer(await self._line.ask("discard_others", list(runs)))

    async def set_tap(self, name: str, enabled: bool) -> None:
        """Attach or detach an eavesdropper; it acts on what enters the fibre from now on."""
        await self._line.ask("set_tap", name, enabled)

    async def tap_report(self, name: str) -> TapReport:
        """Return what an eavesdropper has done so far."""
        return TapReport(*map(integer, fields(await self._line.ask("tap_report", name))))

    async def set_link(self, name: str, up: bool) -> None:
        """Cut a link now, or mend it.

        While it is down, requests for its pairs are refused with LinkDown, those that wait at once, or, where turns are
        taken, in the next turn of who asked; what enters its fibre is lost. A herald that is on its way does not come.
        Raises BadRequest for an unknown link.
        """
        await self._line.ask("set_link", await self.now(), name, up)

    async def change_link(self, name: str, devices: LinkDevices) -> None:
        """Give a link other devices, for what is asked for and what enters its fibre from now on.

        Raises BadRequest for an unknown link, other endpoints, and a fibre too short for the taps on it.
        """
        await self._line.ask("change_link", await self.now(), name, written(devices))

    async def attach_tap(self, name: str, tap: TapConfig) -> None:
        """Let an eavesdropper in that no lab file knows of. Raises BadRequest for a name that is taken, an unknown
        link, and a place off its fibre."""
        await self._line.ask("attach_tap", await self.now(), name, written(tap))

    async def detach_tap(self, name: str) -> None:
        """Let an eavesdropper go for good, with its books."""
        await self._line.ask("detach_tap", await self.now(), name)

    async def take_over(self) -> int:
        """Be the lab's control party from now on; return how many there were before.

        What they have done to links and eavesdroppers is undone, and told to the record: all are as in the lab file.
        Whoever asks again in the same session gets the same answer, and nothing is undone.
        """
        return integer(await self._line.ask("take_over", await self.now()))

    async def intervene(self, at: float, what: str, arguments: str) -> None:
        """Tell the record what is done to the lab from outside, so that it can be done again."""
        await self._line.ask("intervene", at, what, arguments)

    async def halt(self, who: str, until: float | None = None) -> float:
        """Wait until all has happened that is due by an emulated time, the present one where it is None; return it.

        Virtual time then stands still until ``go_on`` for the same ``who``. In real time, which nobody can stop, this
        returns at once.
        """
        if self.mode != "virtual":
            return await self.now()
        try:
            return number(await self.halting(who, until))
        except asyncio.CancelledError:
            self._line.post("go_on", who)
            raise

    def halting(self, who: str, until: float | None) -> asyncio.Future[Message]:
        """Ask for a halt as ``halt`` does, before anything that is asked for later; return the time to come."""
        return self._line.request("halt", until, who)

    async def go_on(self, who: str) -> None:
        """Let virtual time go on."""
        await self._line.ask("go_on", who)

    async def census(self) -> Census:
        """Count everything the quantum world holds."""
        qubits, clusters, held, *others = fields(await self._line.ask("census"))
        if not isinstance(held, dict):
            raise TypeError(f"the server counted held qubits as {held!r}")
        by_node = {node: integer(count) for node, count in held.items()}
        return Census(integer(qubits), integer(clusters), by_node, *map(integer, others))

    async def now(self) -> float:
        """Return the lab's emulated time: in virtual mode, the latest that any operation has stated."""
        return number(await self._line.ask("now"))
