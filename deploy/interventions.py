"""What is done to a lab that is up from outside, one thing at a time: to links, to processes, by eavesdroppers."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from itertools import count
from typing import Any, Final

from deploy.eavesdroppers import check_known, eve_of, free_name, newcomer
from deploy.errors import DeployError, UsageError
from deploy.lab import Link
from deploy.link_changes import changed
from deploy.live_links import Channels, LiveLinks
from deploy.node_processes import NodeProcesses
from deploy.partition import WHOLE, Partition, divide
from deploy.plan import Plan
from nodes.runtime.conductor import Conductor
from nodes.runtime.orders import ChangeChannels, Way
from shared_state.clock import MAX_LEAP
from shared_state.oracle import OracleClient
from shared_state.party import number
from shared_state.wire import Message

BY_ORDER, BY_PARTITION = "order", "partition"
"""Why a link is cut."""
REPEATABLE: Final = ("set_link", "change_link", "reset_link", "attach_eve", "detach_eve", "partition", "heal")
"""What happens in emulated time and can be done again at the same time."""
MOST_FLAPS: Final = 1_000_000


class Interventions:
    """Changes to the lab of ``plan``, made through ``oracle``, the nodes' orders and their processes.

    ``mended`` hears of each link that may be used again, ``surveyed`` of what all links are when one has changed.
    """

    def __init__(
        self,
        plan: Plan,
        oracle: OracleClient,
        conductor: Conductor,
        processes: NodeProcesses,
        mended: Callable[[str], None],
        surveyed: Callable[[Mapping[str, Link]], None],
    ) -> None:
        self._plan = plan
        self._oracle = oracle
        self._conductor = conductor
        self._processes = processes
        self._mended = mended
        self._surveyed = surveyed
        self._links = LiveLinks(plan)
        self._taps = dict(plan.world.taps)
        self._enabled = {name for name, tap in self._taps.items() if tap.enabled}
        self._tap_users: Counter[str] = Counter()
        self._partition = WHOLE
        self._unaware: set[str] = set()
        self._numbers = count(1)
        self._booked: defaultdict[float, deque[tuple[str, asyncio.Future[Message]]]] = defaultdict(deque)
        self._one_at_a_time = asyncio.Lock()
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
        return self._links.channels(node), self._partition.severed(node)

    @asynccontextmanager
    async def tapped(self, tap: str | None) -> AsyncIterator[None]:
        """Keep a tap of the lab file switched on inside the block, for every run that uses its link meanwhile."""
        if tap is None:
            yield
            return
        self._tap_users[tap] += 1
        await self._oracle.set_tap(tap, True)
        try:
            yield
        finally:
            self._tap_users[tap] -= 1
            if not self._tap_users[tap]:
                await self._oracle.set_tap(tap, tap in self._enabled)

    def book(self, when: float) -> None:
        """Ask for a halt of virtual time at once, which what is carried out at ``when`` will use."""
        who = self._visitor()
        self._booked[when].append((who, self._oracle.halting(who, when)))

    async def set_link(self, name: str, up: bool, when: float | None = None) -> float:
        """Cut a link, or mend it; return when. One that the partition cuts stays cut until that heals."""
        self._links.check(name)
        async with self._moment("set_link", when, name=name, up=up) as now:
            await (self._mend if up else self._cut)(name, BY_ORDER)
        return now

    async def change_link(self, name: str, changes: Mapping[str, str], when: float | None = None) -> None:
        """Patch a link."""
        if when is None:  # later it may be another matter
            self._check_fits(changed(self._links.link(name), changes))
        async with self._moment("change_link", when, name=name, changes=dict(changes)):
            await self._become(changed(self._links.link(name), changes))

    async def reset_link(self, name: str, when: float | None = None) -> None:
        """Let a link be as the lab file says, and up."""
        if when is None:
            self._check_fits(self._links.planned(name))
        async with self._moment("reset_link", when, name=name):
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
        try:
            when: float | None = None
            for _ in range(times):
                mended = await self.set_link(name, False, when) + down
                when = await self.set_link(name, True, mended) + up
        except BaseException:
            await self.set_link(name, True)
            raise

    async def attach_eve(
        self,
        link: str,
        strategy: str = "intercept-resend",
        fraction: float = 1.0,
        at: str | None = None,
        when: float | None = None,
    ) -> str:
        """Let an eavesdropper in; return its name."""
        if link in self._plan.world.taps and link not in self._links.names():
            return await self._attach_known(link, when)
        tap = newcomer(self._links.link(link), strategy, fraction, at)
        async with self._moment("attach_eve", when, link=link, strategy=strategy, fraction=fraction, at=at):
            name = free_name(self._taps)
            await self._oracle.attach_tap(name, tap)
            self._taps[name] = tap
            self._enabled.add(name)
        return name

    async def _attach_known(self, name: str, when: float | None) -> str:
        async with self._moment("attach_eve", when, link=name):
            await self._oracle.set_tap(name, True)
            self._enabled.add(name)
        return name

    async def detach_eve(self, name: str, when: float | None = None) -> None:
        """Let an eavesdropper go."""
        if when is None:
            check_known(name, self._taps)
        async with self._moment("detach_eve", when, name=name):
            check_known(name, self._taps)
            self._enabled.discard(name)
            if name in self._plan.world.taps:
                await self._oracle.set_tap(name, False)
                return
            del self._taps[name]
            await self._oracle.detach_tap(name)

    async def eves(self) -> list[dict[str, Any]]:
        """Tell of all eavesdroppers."""
        found = []
        for name, tap in self._taps.items():
            enabled = name in self._enabled or self._tap_users[name] > 0
            found.append(asdict(eve_of(name, tap, enabled, await self._oracle.tap_report(name))))
        return found

    async def kill(self, node: str) -> None:
        """End a node's process."""
        await self._processes.kill(node)
        await self._told("kill", node=node)

    async def pause(self, node: str) -> None:
        """Stop a node's process."""
        self._processes.pause(node)
        await self._told("pause", node=node)

    async def resume(self, node: str) -> None:
        """Let a node go on, or begin again; what has changed meanwhile it is told first."""
        await self._told("resume", node=node)
        await self._processes.resume(node)
        if node in self._unaware:
            async with self._one_at_a_time:
                await self._reroute([node])

    async def partition(
        self, groups: list[list[str]], planes: str = "both", when: float | None = None
    ) -> None:
        """Part groups of nodes."""
        parted = divide(groups, planes, self._plan.nodes)
        async with self._moment("partition", when, groups=groups, planes=planes):
            await self._divide(parted)

    async def heal(self, when: float | None = None) -> None:
        """End the partition."""
        async with self._moment("heal", when):
            await self._divide(WHOLE)

    async def pass_time(self, seconds: float) -> None:
        """Wait for so many seconds of the lab's clock."""
        _check_span(seconds, "a wait")
        async with self._halted(await self._oracle.now() + seconds):
            pass

    async def _become(self, link: Link) -> None:
        self._check_fits(link)
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
        concerned = self._unaware | set(nodes)
        stopped = self._processes.paused & concerned
        orders = {node: self._order(node) for node in sorted(concerned - stopped)}
        self._unaware = stopped | (await self._conductor.reroute(orders) if orders else set())

    def _order(self, node: str) -> ChangeChannels:
        ways = tuple(Way(other, tuple(hops)) for other, hops in self._links.channels(node).items())
        return ChangeChannels(ways, self._partition.severed(node))

    def _check_fits(self, link: Link) -> None:
        for name, tap in self._taps.items():
            if tap.link == link.name and tap.position > link.length:
                raise UsageError(
                    f"eavesdropper '{name}' sits {tap.position / 1e3:g} km from the first end of link '{link.name}', "
                    f"and {link.length / 1e3:g} km of fibre do not reach it; detach it first, or leave more"
                )

    @asynccontextmanager
    async def _moment(self, what: str, when: float | None, **arguments: Any) -> AsyncIterator[float]:
        """Let nothing happen inside the block but what is done here; give the time, which is not before ``when``."""
        async with self._halted(when) as now, self._one_at_a_time:
            await self._oracle.intervene(now, what, json.dumps(arguments, sort_keys=True))
            yield now

    @asynccontextmanager
    async def _halted(self, when: float | None) -> AsyncIterator[float]:
        """Wait for a time of the lab's clock, the next moment between two turns where it is None; give it."""
        if self._oracle.mode != "virtual":
            if when is not None:
                await asyncio.sleep(max(0.0, when - await self._oracle.now()) / self._oracle.scale)
            yield await self._oracle.now()
            return
        if when is not None and self._booked[when]:
            who, halting = self._booked[when].popleft()
            now = number(await halting)
        else:
            who = self._visitor()
            now = await self._oracle.halt(who, when)
        try:
            yield now
        finally:
            await self._oracle.go_on(who)

    def _visitor(self) -> str:
        return f"intervention-{next(self._numbers)}"

    async def _told(self, what: str, **arguments: Any) -> None:
        now = await self._oracle.now()
        await self._oracle.intervene(now, what, json.dumps(arguments, sort_keys=True))


def _check_span(seconds: float, what: str) -> None:
    if not 0 <= seconds <= MAX_LEAP:
        raise UsageError(f"{what} of {seconds:g} s is no time to wait; write 0 to {MAX_LEAP:g} seconds")
