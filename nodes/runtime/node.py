"""A node: takes the lab's orders, plays its roles in runs, and says how they ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass
from functools import partial

from broker.bus import Bus
from broker.envelope import Envelope
from broker.telemetry import Record, Sink
from nodes import codec
from nodes.errors import ProgramInvalid, RunCancelled
from nodes.network.memories import MemoryBudget
from nodes.qkd.report import QkdReport
from nodes.runtime import lag
from nodes.runtime.calm import Calm
from nodes.runtime.causes import name_of, root_cause, story
from nodes.runtime.channel import Channel
from nodes.runtime.clock import RealTimeClock, RunClock, VirtualClock
from nodes.runtime.coin import make_coin
from nodes.runtime.guest import Guest
from nodes.runtime.key_service import KeyService
from nodes.runtime.lag import LagMeter
from nodes.runtime.mail import PostOffice
from nodes.runtime.network import Locality, NetworkStack
from nodes.runtime.orders import (
    CONTROL,
    PROTOCOL,
    ChangeChannels,
    ChannelsChanged,
    EndOthers,
    OthersEnded,
    PartBegun,
    PartPlayed,
    RoundsPlayed,
    RunClosed,
    RunOrder,
    RunOver,
)
from nodes.runtime.programs import Role, load
from nodes.runtime.qubits import Register
from nodes.runtime.rerouting import Rerouting
from nodes.runtime.stage import Stage, Surroundings
from nodes.runtime.turns import TurnTaker
from nodes.runtime.visits import Visits
from shared_state.client import NodeClient
from shared_state.errors import ServerLost
from shared_state.wire import Message

_ROUNDS_PER_REPORT = 64
_REPORT_LENGTH = 64_000
_REPORT_INTERVAL = 0.1
_LONGEST_STORY = 4000
_STOP_DEADLINE = 5.0
_ENDING_DEADLINE = 8.0
"""Wall seconds for what is left of runs that nobody conducts any more: less than the control party waits."""
_LAG_INTERVAL = 1.0
"""So often, in wall seconds, the lag is announced while a part is played; and once more at its end."""


@dataclass(frozen=True, slots=True)
class _Part:
    """This node's part in a run, as long as the run lasts."""

    stage: Stage
    task: asyncio.Task[None]


class Node:
    """One node over its two connections: ``client`` to the quantum world and ``bus`` to everyone else.

    ``calm`` is that of its event loop, and needed in virtual time only.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        lab: str,
        client: NodeClient,
        bus: Bus,
        seed: int | None,
        sink: Sink,
        calm: Calm | None,
    ) -> None:
        self._surroundings = surroundings
        self._client = client
        self._bus = bus
        self._seed = seed
        self._sink = sink
        self._lag = LagMeter(surroundings.shortest_delay)
        self._behind = False
        self._process = os.urandom(4).hex()
        self._office = PostOffice(
            bus, lab, self._note_status, on_arrival=self._measure_arrival, process=self._process
        )
        self._parts: dict[str, _Part] = {}
        self._closing: set[str] = set()
        # in virtual time nothing but visits tells who is there
        in_virtual_time = client.mode == "virtual"
        self.visits = Visits(surroundings.name, None if in_virtual_time else self._office.process_of)
        self._memories = MemoryBudget(surroundings.memories)
        for_keys = {
            name: Channel(channel.hops, make_coin(seed, surroundings.name, name, "keys"))
            for name, channel in surroundings.channels.items()
        }
        self._keys = KeyService(
            surroundings.key_service,
            surroundings.keys,
            surroundings.identity,
            self._office,
            bus,
            RealTimeClock(client.now, client.scale, self._lag.note),
            for_keys,
            make_coin(seed, surroundings.name, "keys", *_again(surroundings.incarnation)),
            seed is not None,
            sink,
        )
        self._turns: TurnTaker | None = None
        if client.recorded:
            self._office.keep_record(client.note)
        if client.mode == "virtual":
            assert calm is not None
            self._turns = TurnTaker(client, calm, self._office)
            self._office.keep_time(self._turns)
        self._office.partition.sever(surroundings.severed)
        self._rerouting = Rerouting(
            surroundings.channels, for_keys, self._office, client, self._now, self._turns
        )

    async def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Announce that the node is ready, also to ``ready``, then carry out orders until cancelled.

        Raise ``BrokerLost`` or ``ServerLost`` when one of its connections is gone for good, and what
        ``nodes.runtime.kme_http.serve_kme`` raises when its KME cannot begin.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._office.sort())
            group.create_task(self._office.dispatch())
            group.create_task(self._watch_server())
            group.create_task(self._tell_lag())
            if self._turns is not None:
                group.create_task(self._turns.serve())
            group.create_task(self._keys.serve())
            await self._keys.listening.wait()
            await self._bus.announce("status", {"state": "ready", "process": self._process})
            self._note("node.ready")
            ready()
            while True:
                envelope = await self._office.orders.get()
                match envelope.kind:
                    case "RunOrder" if envelope.session not in self._parts:
                        await self._begin(self._stage(codec.build(RunOrder, envelope.body)), group)
                    case "ChangeChannels":
                        change = codec.build(ChangeChannels, envelope.body)
                        await self._rerouting.carry_out(change, envelope.sent_at)
                        await self._confirm(envelope.session, ChannelsChanged())
                    case "EndOthers":
                        group.create_task(
                            self._end_others(envelope.session, codec.build(EndOthers, envelope.body))
                        )
                    case "RunOver":
                        group.create_task(self._close(envelope.session, codec.build(RunOver, envelope.body)))

    def _now(self) -> float:
        return self._client.now() if self._turns is None else self._turns.now

    async def _confirm(self, session: str, done: ChannelsChanged | OthersEnded) -> None:
        """Tell control that an order which belongs to no run has been carried out."""
        kind, body = codec.kind_of(done), codec.fields_of(done)
        await self._office.send(CONTROL, session, PROTOCOL, kind, body, 0.0, 0.0)
        self._office.end_run(session)

    def receive_guest(self) -> asyncio.Future[Exception] | None:
        """Let a program act by itself here: in virtual time this node keeps its turn while it does.

        Return what resolves when it does so for too long.
        """
        if self._turns is None:
            return None
        guest = self._turns.ensemble.guest = Guest(self._surroundings.name, self._turns.look)
        return guest.reproached

    async def emptied(self) -> None:
        """Wait until what was said here has been published, but for what waits for the end of a partition."""
        await self._office.emptied()

    def forsake(self) -> None:
        """Drop what waits for the end of a partition, which this node does not await."""
        self._note_lost(self._office.partition.forsake())

    def _note_lost(self, messages: Mapping[str, int], run: str | None = None) -> None:
        """Note in the log what was said here and nobody will hear: messages across a partition, by recipient."""
        for recipient, count in messages.items():
            self._note("messages.lost", run, recipient=recipient, messages=count, cause="partition")

    async def _begin(self, stage: Stage, group: asyncio.TaskGroup) -> None:
        """Begin to play a part: at once, or in virtual time when its time has come and control lets time go on."""
        order, turns = stage.order, self._turns
        self._office.begin_run(order.run, order.members)
        if turns is None:
            await self._report(stage, PartBegun())
            self._parts[order.run] = _Part(stage, group.create_task(self._play(stage)))
            self.visits.begin(stage)
            return
        turns.patience = max([order.deadline, *(part.stage.order.deadline for part in self._parts.values())])
        raised = asyncio.Event()
        with turns.ensemble.entered():
            self._parts[order.run] = _Part(stage, group.create_task(self._play_after(raised, stage)))
        await turns.call_at(order.started_at, raised.set)
        await self._report(stage, PartBegun())

    async def _play_after(self, curtain: asyncio.Event, stage: Stage) -> None:
        assert self._turns is not None
        # it comes by itself, so a deadlock of the run before, told late, is no news to it
        with self._turns.ensemble.waiting("the beginning", timed=True):
            await curtain.wait()
        self.visits.begin(stage)
        await self._play(stage)

    def _measure_arrival(self, envelope: Envelope) -> None:
        """Measure the lag of a message that the bus has brought after its time."""
        if envelope.sender != CONTROL and (late := self._client.now() - envelope.arrives_at) > 0:
            self._lag.note(late)

    async def _tell_lag(self) -> None:
        """Announce the lag at intervals, as long as it is measured."""
        while True:
            await self._lag.measured.wait()
            await asyncio.sleep(_LAG_INTERVAL)
            await self._announce_lag()

    async def _announce_lag(self) -> None:
        """Tell everyone what was measured, if anything; note in the log when this node falls behind or catches up."""
        if not self._lag.measured.is_set():
            return
        self._lag.measured.clear()
        figures = self._lag.figures()
        if figures.behind != self._behind:
            self._behind = figures.behind
            name = "clock.behind" if figures.behind else "clock.caught_up"
            self._note(name, lag=figures.p99, shortest_delay=self._lag.shortest_delay)
        await self._bus.announce(lag.CHANNEL, asdict(figures))

    def _note_status(self, node: str, state: str) -> None:
        if self._turns is None:
            self.visits.look()

    async def _watch_server(self) -> None:
        raise await self._client.lost

    def _stage(self, order: RunOrder) -> Stage:
        clock = self._clock()
        return Stage(
            order=order,
            surroundings=self._surroundings,
            register=Register(self._client, clock, order.run),
            office=self._office,
            clock=clock,
            coin=make_coin(self._seed, self._surroundings.name, order.run),
            settle=self._keys.manager.settle,
            alarm=partial(self._alarm, order.run),
            network=self._network(order) if order.network else None,
        )

    def _alarm(self, run: str, report: QkdReport) -> None:
        self._note("key.alarm", run, qber=report.qber or 0.0, reason=report.reason)

    def _clock(self) -> RunClock:
        if self._turns is None:
            return RealTimeClock(self._client.now, self._client.scale, self._lag.note)
        return VirtualClock(self._turns)

    def _network(self, order: RunOrder) -> NetworkStack:
        surroundings = self._surroundings
        stack = NetworkStack(
            run=order.run,
            locality=Locality(
                surroundings.name, surroundings.pair_links, surroundings.channels, surroundings.cutoff
            ),
            client=self._client,
            clock=self._clock(),
            office=self._office,
            coin=make_coin(self._seed, self._surroundings.name, order.run, "network"),
            memories=self._memories,
            deadline=order.deadline,
        )
        stack.acceptances.roles = bool(order.role) or self.visits.attended
        return stack

    async def _play(self, stage: Stage) -> None:
        """Play this node's part; whatever goes wrong in it is reported and ends this run only."""
        order = stage.order
        self._note("part.started", order.run, program=order.program, role=order.role, rounds=order.rounds)
        self._record(stage, "part.started", protocol=order.protocol, role=order.role, rounds=order.rounds)
        try:
            if self._turns is None:
                await self._perform(stage, _role(order))
            else:
                with self._turns.ensemble.answerable():
                    await self._perform(stage, _role(order))
        except asyncio.CancelledError as cancelled:
            why = ": ".join(["the run was called off", *filter(None, cancelled.args)])
            await self._finish(stage, RunCancelled(why))
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a program may raise anything, and only its run ends
            await self._finish(stage, root_cause(error))

    async def _perform(self, stage: Stage, role: Role | None) -> None:
        """Play all rounds and report that; where pairs are made on demand, relay before, meanwhile and after."""
        if stage.network is None:
            await self._rounds(stage, role)
            await self._finish(stage, None)
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(stage.network.serve())
            if role is not None:
                await self._rounds(stage, role)
            await self._finish(stage, None)

    async def _rounds(self, stage: Stage, role: Role | None) -> None:
        """Play all rounds and report them, several at a time."""
        loop = asyncio.get_running_loop()
        unreported: list[str] = []
        reported_at = loop.time()
        async with aclosing(stage.play(role)) as rounds:
            async for returned in rounds:
                unreported.append(returned)
                long = sum(map(len, unreported)) > _REPORT_LENGTH or len(unreported) == _ROUNDS_PER_REPORT
                if long or loop.time() - reported_at > _REPORT_INTERVAL:
                    await self._report(stage, RoundsPlayed(tuple(unreported)))
                    unreported.clear()
                    reported_at = loop.time()
        if unreported:
            await self._report(stage, RoundsPlayed(tuple(unreported)))

    async def _finish(self, stage: Stage, error: BaseException | None) -> None:
        cause, message = (
            ("", "")
            if error is None
            else (name_of(error), story(error, stage.order.program)[:_LONGEST_STORY])
        )
        # a role that took too long to give way has been given up already
        if error is not None and self._turns is not None and stage.order.run in self._parts:
            self._turns.hold(stage.order.run)
        event = "part.failed" if error else "part.played"
        self._note(event, stage.order.run, cause=cause, message=message)
        # when the others are called off is decided on the wall, outside of emulated time
        if not isinstance(error, RunCancelled):
            self._record(stage, event, **({"cause": cause} if error else {}))
        await self._announce_lag()
        await self._report(stage, PartPlayed(stage.clock.now(), cause, message))

    async def _close(self, run: str, over: RunOver) -> None:
        self._closing.add(run)
        with suppress(ServerLost):  # who watches the connection tells
            await self._end_part(run, over)
        self._closing.discard(run)

    async def _end_others(self, session: str, order: EndOthers) -> None:
        """End the parts in all runs but those of an order.

        What a program of one's own has got in the visit of another node is not waited for: it is still its own.
        """
        others = self._parts.keys() - set(order.runs) - self._closing
        async with asyncio.TaskGroup() as group:
            ending = [group.create_task(self._close(run, RunOver(order.reason))) for run in others]
            if ending:
                await asyncio.wait(ending, timeout=_ENDING_DEADLINE)
            await self._confirm(session, OthersEnded())

    async def _end_part(self, run: str, over: RunOver) -> None:
        part = self._parts.get(run)
        if part is None:  # the order for it never came
            body = codec.fields_of(RunClosed(0))
            await self._office.send(CONTROL, run, PROTOCOL, "RunClosed", body, 0.0, 0.0)
            self._office.end_run(run)
            return
        if self.visits.over(run) and part.stage.network is not None:
            await self._report(part.stage, RunClosed(0))
            part.stage.network.gone(part.stage.order.visitor)
            await part.stage.network.idle()  # what a program here has got in it is still its own
        part.task.cancel(over.reason)
        await asyncio.wait([part.task], timeout=_STOP_DEADLINE)  # a role may refuse to be cancelled
        discarded = await part.stage.close()
        self._note("run.closed", run, reason=over.reason, discarded=discarded)
        await self._report(part.stage, RunClosed(discarded))
        self._note_lost(self._office.end_run(run), run)
        del self._parts[run]
        if self._turns is not None:
            self._turns.release(run)

    async def _report(self, stage: Stage, report: PartBegun | RoundsPlayed | PartPlayed | RunClosed) -> None:
        kind, body, now = codec.kind_of(report), codec.fields_of(report), stage.clock.now()
        await self._office.send(CONTROL, stage.order.run, PROTOCOL, kind, body, now, now)

    def _record(self, stage: Stage, event: str, **details: Message) -> None:
        """Tell the lab's record, if there is one."""
        if self._client.recorded:
            self._client.note(stage.clock.now(), stage.order.run, event, details)

    def _note(self, name: str, run: str | None = None, **fields: str | int | float) -> None:
        self._sink.record(Record(name, self._client.now(), self._surroundings.name, run, fields))


def _again(incarnation: int) -> tuple[str, ...]:
    """Name the dice of a node that was started again: they must not show again what its keys were drawn with."""
    return (str(incarnation),) if incarnation else ()


def _role(order: RunOrder) -> Role | None:
    """Load the role to play; None for a node that only relays."""
    if not order.role:
        return None
    program = load(order.program, order.source).cast(dict(order.roles))
    if order.role not in program.roles:
        raise ProgramInvalid(
            f"{order.program} has no role '{order.role}'; there are: {', '.join(program.roles)}"
        )
    return program.roles[order.role]
