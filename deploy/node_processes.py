"""The processes of a lab's nodes, broken on purpose: killed, stopped in the middle of what they do, started again."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Set
from typing import Any, Final

from deploy.child import Child
from deploy.errors import LabFailed, NotFound, UsageError
from deploy.guardian import Guardian
from deploy.premises import Premises
from deploy.wording import quoted, unknown
from nodes.runtime.conductor import Conductor

READY_DEADLINE: Final = 30.0
"""Wall seconds for a node that is started again, or whose end is waited for."""


class NodeProcesses:
    """The processes of ``nodes``; ``start`` starts one again.

    Who was killed on purpose stays dead until it is resumed, also where others are started again by themselves.
    """

    def __init__(
        self,
        nodes: Collection[str],
        premises: Premises,
        conductor: Conductor,
        start: Callable[[str], None],
    ) -> None:
        self._nodes = nodes
        self._premises = premises
        self._conductor = conductor
        self._start = start
        self._killed: dict[str, asyncio.Event] = {}
        self._stopped: dict[str, tuple[Child, Guardian]] = {}
        self._busy: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def paused(self) -> Set[str]:
        """Return the nodes that are stopped."""
        return {name for name, (child, _) in self._stopped.items() if not child.ended.is_set()}

    async def kill(self, name: str) -> None:
        """End a node's process at once, as a power failure would; return when the lab knows. Twice is once."""
        self._check(name)
        async with self._busy[name]:
            child = self._child(name)
            if not child.ended.is_set():
                buried = self._killed.setdefault(name, asyncio.Event())
                child.signal(signal.SIGKILL)
                await _in_time(buried.wait(), f"node {quoted(name)} was killed and has not ended")
            await self._release(name)

    def buried(self, name: str) -> bool:
        """Hear that the death of a node has been dealt with; tell whether it was killed on purpose."""
        if (killed := self._killed.get(name)) is None:
            return False
        killed.set()
        return True

    async def pause(self, name: str) -> None:
        """Stop a node's process where it is. Raise ``UsageError`` for one that is dead. Twice is once."""
        self._check(name)
        async with self._busy[name]:
            child = self._child(name)
            if not child.pid:
                raise UsageError(f"node {quoted(name)} has not begun yet; pause it when it is ready")
            if name not in self.paused and not child.ended.is_set():
                await self._release(name)  # whoever watched over the process before this one
                self._stopped[name] = child, await Guardian.of(child.pid)
            if not child.signal(signal.SIGSTOP):
                await self._release(name)
                raise UsageError(f"node {quoted(name)} is dead, and a pause needs a process; resume it first")

    async def resume(self, name: str) -> bool:
        """Let a stopped process go on, or start a dead one again; tell whether it was dead.

        Raise ``ProcessDied`` or ``LabFailed`` where it does not come back.
        """
        self._check(name)
        async with self._busy[name]:
            await self._release(name)
            child = self._child(name)
            if child.signal(signal.SIGCONT):
                return False
            await _in_time(child.ended.wait(), f"node {quoted(name)} takes no signal and has not ended")
            self._killed.pop(name, None)
            self._start(name)
            await self._ready(self._child(name))
            return True

    async def release_all(self) -> None:
        """Let all go on."""
        for name in list(self._stopped):
            await self._release(name)

    async def _release(self, name: str) -> None:
        if (stopped := self._stopped.pop(name, None)) is not None:
            await stopped[1].release()

    async def _ready(self, child: Child) -> None:
        ready = asyncio.ensure_future(self._conductor.ready([child.name]))
        ended = asyncio.ensure_future(child.ended.wait())
        try:
            done, _ = await asyncio.wait(
                (ready, ended), timeout=READY_DEADLINE, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ready.cancel()
            ended.cancel()
        if ended in done:
            raise child.died()
        if not done:
            raise LabFailed(
                f"node {quoted(child.name)} was not ready within {READY_DEADLINE:g} s; see its log"
            )

    def _check(self, name: str) -> None:
        if name not in self._nodes:
            raise NotFound(unknown("node", name, self._nodes))

    def _child(self, name: str) -> Child:
        child = self._premises.children.get(name)
        if child is None:
            raise UsageError(f"node {quoted(name)} is run by others than this lab: break it where it runs")
        return child


async def _in_time(waiting: Coroutine[Any, Any, object], what: str) -> None:
    """Wait; raise ``LabFailed`` when it takes too long."""
    try:
        async with asyncio.timeout(READY_DEADLINE):
            await waiting
    except TimeoutError:
        raise LabFailed(f"{what} within {READY_DEADLINE:g} s; see its log") from None
