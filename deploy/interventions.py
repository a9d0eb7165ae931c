"""What is done to a lab that is up from outside, one thing at a time: to links, to processes, by eavesdroppers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from deploy.eavesdroppers import Eavesdroppers
from deploy.errors import DeployError, UsageError
from deploy.lab import Link
from deploy.link_changes import changed
from deploy.live_links import Channels, LiveLinks
from deploy.moments import Halt, Moments
from deploy.node_processes import NodeProcesses
from deploy.partition import WHOLE, Partition, divide
from deploy.plan import Plan
from nodes.runtime.conductor import Conductor
from nodes.runtime.orders import ChangeChannels, Way
from shared_state.clock import MAX_LEAP
from shared_state.oracle import OracleClient

BY_ORDER, BY_PARTITION = "order", "partition"
"""Why a link is cut."""
REPEATABLE: Final = ("set_link", "change_link", "reset_link", "attach_eve", "detach_eve", "partition", "heal")
"""What happens in emulated time and can be done again at the same time."""
MOST_FLAPS: Final = 1_000_000


class Interventions:
    """Changes to the lab of ``plan``, made through ``oracle``, the nodes' orders and their processes.

    ``mended`` hears of each link that may be used again, ``surveyed`` of what all links are when one has changed,
    ``warn`` of nodes that do not hear what their messages pass now. They are told again when they come back.
    """

    def __init__(
        self,
        plan: Plan,
        oracle: OracleClient,
        conductor: Conductor,
        processes: NodeProcesses,
        mended: Callable[[str], None],
        surveyed: Callable[[Mapping[str, Link]], None],
        warn: Callable[[str], None] = lambda warning: None,
    ) -> None:
        self._warn = warn
        self._came: asyncio.Queue[str] = asyncio.Queue()
        self._plan = plan
        self._oracle = oracle
        self._conductor = conductor
        self._processes = processes
        self._mended = mended
        self._surveyed = surveyed
        self._links = LiveLinks(plan)
        self._moments = Moments(oracle)
        self.eavesdroppers = Eavesdroppers(plan.world.taps, oracle, self._moments)
        self._partition = WHOLE
        self._unaware: set[str] = set()
        self._told: dict[str, Channels] = {name: node.channels for name, node in plan.nodes.items()}
        self._acts: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "set_link": self.set_link, "change_link": self.change_link, "reset_link": self.reset_link,
            "link": self.link, "links": self.links, "flap_link": self.flap_link, "attach_eve": self.attach_eve,
            "detach_eve": self.detach_eve, "eves": self.eves, "kill": self.kill, "pause": self.pause,
            "resume": self.resume, "partition": self.partition, "heal": self.heal, "pass_time": self.pass_time,
            "now": self._oracle.now,
        }  # fmt: skip

    async def carry_out(self, what: str, arguments: Mapping[str, Any]) -> Any:
        """Do what is asked by name; return plain data. Raise ``DeployError`` for what nobody can do."""
        act = self._acts.get(what)
        if act is None:
            raise DeployError(f"nobody knows how to do {what!r} to a lab")
        try:
            inspect.signature(act).bind(**arguments)
        except TypeError as error:
            raise DeployError(f"{what}: {error}") from error
        return await act(**arguments)

    def channels(self, node: str) -> tuple[Channels, tuple[str, ...]]:
        """Return what messages of a node pass now, and whom they do not reach: for one that begins."""
        self._unaware.discard(node)
        self._told[node] = self._links.channels(node)
        return self._told[node], self._partition.severed(node)

    def came(self, node: str) -> None:
        """Hear that a node is ready: for the first time, or again."""
        self._came.put_nowait(node)

    async def serve(self) -> None:
        """Tell nodes that come what has changed while they were not there, until cancelled."""
        while True:
            await self.catch_up(await self._came.get())

    async def catch_up(self, node: str) -> None:
        """Tell a node that has come what it does not know."""
        async with self._moments.one_at_a_time:
            if self._is_behind(node):
                await self._reroute([node])

    async def succeed(self) -> None:
        """Tell all nodes that the lab is as its file says: what the control party before this one told them is past.

        Who is not there hears it on coming.
        """
        async with self._moments.one_at_a_time:
            self._told = {name: {} for name in self._plan.nodes}
            await self._reroute(list(self._plan.nodes))

    def _is_behind(self, node: str) -> bool:
        """Tell whether a node that has come knows less than there is to know.

        A process that others start knows what the lab file says: nobody has told it anything else.
        """
        if (planned := self._plan.nodes.get(node)) is None:
            return False
        if planned.external and self._order_for(node, planned.channels) != ChangeChannels((), ()):
            self._told[node] = {}
            return True
        return node in self._unaware

    def book(self, when: float) -> Halt | None:
        """Ask for a halt of virtual time at once, which what is carried out at ``when`` will use."""
        return self._moments.book(when)

    async def give_back(self, when: float, halt: Halt | None) -> None:
        """Let time pass a halt that was booked, if nothing has used it."""
        await self._moments.give_back(when, halt)

    async def set_link(self, name: str, up: bool, when: float | None = None) -> float:
        """Cut a link, or mend it; return when. One that the partition cuts stays cut until that heals."""
        self._links.check(name)
        async with self._moments.intervening("set_link", when, name=name, up=up) as now:
            await (self._mend if up else self._cut)(name, BY_ORDER)
        return now

    async def change_link(self, name: str, changes: Mapping[str, str], when: float | None = None) -> None:
        """Patch a link."""
        changes = {key: str(value) for key, value in changes.items()}
        if when is None:  # later it may be another matter
            self.eavesdroppers.check_reach(changed(self._links.link(name), changes))
        async with self._moments.intervening("change_link", when, name=name, changes=changes):
            await self._become(changed(self._links.link(name), changes))

    async def reset_link(self, name: str, when: float | None = None) -> None:
        """Let a link be as the lab file says, and up."""
        if when is None:
            self.eavesdroppers.check_reach(self._links.planned(name))
        async with self._moments.intervening("reset_link", when, name=name):
            await self._become(self._links.planned(name))
            await self._mend(name, BY_ORDER)

    async def link(self, name: str) -> dict[str, Any]:
        """Tell how a link is."""
        return asdict(self._links.state(name))

    async def links(self) -> list[dict[str, Any]]:
        """Tell how all links are."""
        return [asdict(self._links.state(name)) for name in self._links.names()]

    async def flap_link(self, name: str, down: float, up: float, times: int) -> None:
        """Cut and mend a link at regular times."""
        _check_span(down, "down")
        _check_span(up, "up")
        if not 1 <= times <= MOST_FLAPS:
            raise UsageError(f"a link cannot flap {times} times; write 1 to {MOST_FLAPS}")
        self._links.check(name)
        when: float | None = None
        booked: Halt | None = None
        try:
            for turn in range(2 * times):
                is_up = turn % 2 == 1
                async with self._moments.intervening("set_link", when, name=name, up=is_up) as now:
                    await (self._mend if is_up else self._cut)(name, BY_ORDER)
                    when = now + (up if is_up else down)
                    if turn < 2 * times - 1:  # before time goes on, which may leap
                        booked = self._moments.book(when)
        except BaseException:
            if when is not None:
                await self._moments.give_back(when, booked)
            await self.set_link(name, True)
            raise

    async def attach_eve(
        self,
        link: str,
        strategy: str = "intercept-resend",
        fraction: float = 1.0,
        at: str | None = None,
        name: str | None = None,
        when: float | None = None,
    ) -> str:
        """Let an eavesdropper in; return its name. Who gives it one can have it detached later in good time."""
        if self.eavesdroppers.knows(link) and link not in self._links.names():
            return await self.eavesdroppers.attach_known(link, when)
        return await self.eavesdroppers.attach(
            lambda: self._links.link(link), strategy, fraction, at, name, when
        )

    async def detach_eve(self, name: str, when: float | None = None) -> None:
        """Let an eavesdropper go."""
        await self.eavesdroppers.detach(name, when)

    async def eves(self) -> list[dict[str, Any]]:
        """Tell of all eavesdroppers."""
        return [asdict(eve) for eve in await self.eavesdroppers.all()]

    async def kill(self, node: str) -> None:
        """End a node's process."""
        await self._processes.kill(node)
        await self._moments.told("kill", node=node)

    async def pause(self, node: str) -> None:
        """Stop a node's process."""
        await self._processes.pause(node)
        await self._moments.told("pause", node=node)

    async def resume(self, node: str) -> None:
        """Let a node go on, or begin again; what has changed meanwhile it is told first."""
        await self._processes.resume(node)
        await self._moments.told("resume", node=node)
        if node in self._unaware:
            async with self._moments.one_at_a_time:
                await self._reroute([node])

    async def partition(
        self, groups: list[list[str]], planes: str = "both", when: float | None = None
    ) -> None:
        """Part groups of nodes."""
        parted = divide(groups, planes, self._plan.nodes)
        async with self._moments.intervening("partition", when, groups=groups, planes=planes):
            await self._divide(parted)

    async def heal(self, when: float | None = None) -> None:
        """End the partition."""
        async with self._moments.intervening("heal", when):
            await self._divide(WHOLE)

    async def pass_time(self, seconds: float, when: float | None = None) -> None:
        """Wait for so many seconds of the lab's clock, or until its time is ``when``."""
        _check_span(seconds, "a wait")
        async with self._moments.halted(await self._oracle.now() + seconds if when is None else when):
            pass

    async def _become(self, link: Link) -> None:
        self.eavesdroppers.check_reach(link)
        await self._oracle.change_link(link.name, link.devices)
        concerned = self._links.adopt(link)
        self._surveyed(self._links.all())
        await self._reroute(list(concerned))
        self._mended(link.name)

    async def _divide(self, parted: Partition) -> None:
        former, self._partition = self._partition, parted
        for link in self._links.names():
            endpoints = self._links.link(link).endpoints
            if parted.cuts(endpoints):
                await self._cut(link, BY_PARTITION)
            elif former.cuts(endpoints):
                await self._mend(link, BY_PARTITION)
        await self._reroute(
            [node for node in self._plan.nodes if parted.severed(node) != former.severed(node)]
        )
        for link in self._links.names():
            endpoints = self._links.link(link).endpoints
            if former.parts(endpoints) and not parted.parts(endpoints):
                self._mended(link)

    async def _cut(self, link: str, reason: str) -> None:
        was_up = self._links.is_up(link)
        self._links.cut(link, reason)
        if was_up:
            await self._oracle.set_link(link, False)

    async def _mend(self, link: str, reason: str) -> None:
        was_up = self._links.is_up(link)
        self._links.mend(link, reason)
        if self._links.is_up(link) and not was_up:
            await self._oracle.set_link(link, True)
            self._mended(link)

    async def _reroute(self, nodes: list[str]) -> None:
        """Tell nodes what their messages pass now, and whom they reach; and those who have not heard it last time.

        One that is stopped hears it when it goes on.
        """
        self._unaware |= set(nodes)  # until they say that they have heard it
        orders = {node: self._order(node) for node in sorted(self._unaware - self._processes.paused)}
        if not orders:
            return
        for node in orders:
            self._told[node] = {}  # whoever does not answer may have heard it or not
        silent = await self._conductor.reroute(orders)
        for node in orders.keys() - silent:
            self._told[node] = self._links.channels(node)
        self._unaware -= orders.keys() - silent
        states = self._conductor.states()
        if deaf := sorted(node for node in silent if states.get(node) == "ready"):
            self._warn(
                f"{', '.join(deaf)} did not answer what has changed for their messages, which may go as before; they "
                "are told again with the next change, or when they come back"
            )

    def _order(self, node: str) -> ChangeChannels:
        return self._order_for(node, self._told[node])

    def _order_for(self, node: str, told: Channels) -> ChangeChannels:
        """Say what a node that has been ``told`` so much does not know: of all ways in a large lab, few change."""
        now = self._links.channels(node)
        ways = tuple(Way(other, tuple(hops)) for other, hops in now.items() if told.get(other) != hops)
        return ChangeChannels(ways, self._partition.severed(node))


def _check_span(seconds: float, what: str) -> None:
    if not 0 <= seconds <= MAX_LEAP:
        raise UsageError(f"{what} of {seconds:g} s is no time to wait; write 0 to {MAX_LEAP:g} seconds")
