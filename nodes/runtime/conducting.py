"""One run as the control party conducts it: parts are handed out, reports heard, and all that is left is cleaned up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from nodes import codec
from nodes.errors import DeadlinePassed, PeerGone, RunFailed
from nodes.runtime.attendance import Attendance
from nodes.runtime.causes import root_cause
from nodes.runtime.closing import close_at
from nodes.runtime.handing_out import hand_out
from nodes.runtime.judge import Judge
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import PartPlayed, RoundsPlayed, SwapPath
from nodes.runtime.run_request import RunRequest, order_of

_ROLES_FIRST: Final = 1.0
"""Wall seconds: a role that waits in vain for one who does not begin knows for what, and is heard before."""


class ConductedRun:
    """A run in which the nodes of ``parts`` play the roles that it says, or relay where that is empty.

    Nodes of the ``network`` that play no role may be missing, and leave: others go around them.
    """

    def __init__(
        self,
        office: PostOffice,
        attendance: Attendance,
        name: str,
        parts: Mapping[str, str],
        network: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.parts = parts
        self._office = office
        self._attendance = attendance
        self._network = network
        self._relays = frozenset(node for node in network if not parts[node])
        self.is_called_off = False
        self._replaced: set[str] = set()
        office.begin_run(name, parts)

    def call_off(self) -> None:
        """Let it fail: the broker has come back without what nodes had reported, or had been told, of it."""
        self.is_called_off = True
        for node in self.parts:
            self._office.hang_up(node, self.name)

    def mourn_former(self, node: str) -> None:
        """Let it fail if it needs a node in whose place another process has come, which knows of no run."""
        if node in self.parts:
            self._replaced.add(node)
            self._office.hang_up(node, self.name)

    async def order(
        self, request: RunRequest, source: str, paths: tuple[SwapPath, ...], started_at: float
    ) -> None:
        """Hand the parts out. Raise ``RunFailed`` when a node is gone that is needed."""
        for node, role in self.parts.items():
            order = order_of(self.name, request, source, role, paths, self._network, started_at)
            try:
                await hand_out(self._office, node, order)
            except PeerGone as gone:
                if node not in self._relays:
                    raise RunFailed(node, "PeerGone", "its process has ended") from gone

    async def all_begun(self, deadline: float) -> None:
        """Wait until each node has said that it has its part, for at most ``deadline`` wall seconds each."""
        for node in self.parts:
            await self._begun(node, deadline)

    async def follow(
        self, rounds: int, deadline: float, judge: Judge, progress: Callable[[int], None], *, begun: bool
    ) -> float:
        """Take the reports of all nodes until the last has played its part; return the emulated time of its end.

        ``begun``: all have said before that they have their parts. Relays of the network are heard until then.
        Raise ``RunFailed`` naming the node where it failed.
        """
        within = None if begun else deadline + _ROLES_FIRST
        try:
            async with asyncio.TaskGroup() as group:
                ends = [
                    group.create_task(self._play(node, within, partial(judge.take, role)))
                    for node, role in self.parts.items()
                    if node not in self._relays
                ]
                heard = [group.create_task(self._hear_relay(node)) for node in self._relays]
                await judge.judge(rounds, progress)
                await asyncio.wait(ends)
                for relay in heard:
                    relay.cancel()
        except BaseExceptionGroup as failures:
            raise root_cause(failures) from failures
        return max(end.result() for end in ends)

    async def attend(self, deadline: float, hear: Callable[[str, str], None]) -> None:
        """Let ``hear`` have what each role returns, by role, until all have ended. Raise as ``follow`` does."""
        try:
            async with asyncio.TaskGroup() as group:
                for node, role in self.parts.items():
                    group.create_task(self._play(node, deadline, partial(hear, role)))
        except BaseExceptionGroup as failures:
            raise root_cause(failures) from failures

    async def end(self, reason: str) -> None:
        """Tell all nodes that are there that it is over; wait until they hold nothing of it."""
        if self.is_called_off:  # those who are there say when they have ended it
            for node in self.parts.keys() - self._replaced:
                self._office.listen_again(node, self.name)
        async with asyncio.TaskGroup() as group:
            for node in self.parts:
                if not self._attendance.has_left(node):
                    group.create_task(close_at(self._office, self.name, node, reason))

    async def _begun(self, node: str, deadline: float) -> None:
        try:
            await self._office.receive(node, self.name, "that it has its part", deadline)
        except PeerGone as gone:
            if node not in self._relays:
                raise self._gone(node) from gone
        except DeadlinePassed as late:
            told = (
                f"it has not answered the order of the control party within {deadline:g} s: its process is stopped or "
                "busy, or does not hear the broker; see its log"
            )
            raise RunFailed(node, "DeadlinePassed", told) from late

    def _gone(self, node: str) -> RunFailed:
        if self.is_called_off:
            told = "the broker was started again meanwhile, and reports of this run may be lost; run it again"
            return RunFailed(node, "MailLost", told)
        told = self._attendance.story(node, "the process ended while it played its part")
        return RunFailed(node, "PeerGone", told)

    async def _play(self, node: str, begin_within: float | None, take: Callable[[str], None]) -> float:
        """Hear that a node has its part, unless that is known, and then ``_listen``."""
        if begin_within is not None:
            await self._begun(node, begin_within)
        return await self._listen(node, take)

    async def _hear_relay(self, node: str) -> None:
        """Raise ``RunFailed`` when a relay of the network fails; that it leaves is no failure."""
        while True:
            try:
                await self._listen(node, lambda returned: None)
            except RunFailed as failure:
                if failure.cause != "PeerGone":
                    raise
                return

    async def _listen(self, node: str, take: Callable[[str], None]) -> float:
        """Hand what a node's role returns to ``take``, until it has played its part; return the emulated time then."""
        while True:
            try:
                report = await self._office.receive(node, self.name, "its report", None)
            except PeerGone as gone:
                raise self._gone(node) from gone
            match report.kind:
                case "RoundsPlayed":
                    for returned in codec.build(RoundsPlayed, report.body).rounds:
                        take(returned)
                case "PartPlayed":
                    part = codec.build(PartPlayed, report.body)
                    if part.cause:
                        raise RunFailed(node, part.cause, part.message)
                    return part.at
