"""What becomes of a lab when one of its processes dies: a node is mourned, a server started again, or the lab ends."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from deploy.errors import ProcessDied
from deploy.node_processes import NodeProcesses
from deploy.plan import Plan
from deploy.premises import BROKER, STATE, Premises
from nodes.runtime.conductor import Conductor

MAX_DEATHS: Final = 5
DEATHS_WITHIN: Final = 60.0
"""A process that dies more often within so many seconds is not started again."""


class Deaths:
    """Watches over the processes of one lab. ``start_again`` starts a node, ``warn`` hears of one that is given up."""

    def __init__(
        self,
        plan: Plan,
        premises: Premises,
        conductor: Conductor,
        nodes: NodeProcesses,
        start_again: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._premises = premises
        self._conductor = conductor
        self._nodes = nodes
        self._start_again = start_again
        self._warn = warn
        self._times: defaultdict[str, list[float]] = defaultdict(list)

    async def watch(self) -> None:
        """Wait for the end of a process that the lab cannot do without; raise ``ProcessDied``."""
        while True:
            try:
                await self._premises.watch()
            except ProcessDied as death:
                if death.name == STATE and self._plan.journal:
                    await self._revive(death)
                elif death.name in (BROKER, STATE):
                    raise
                else:
                    self._bury(death)

    def _bury(self, death: ProcessDied) -> None:
        """Call off the runs of a node that has died; where keys are made as long as the lab is up, start it again."""
        self._conductor.mourn(death.name)
        if self._nodes.buried(death.name) or not self._plan.key_links:
            return
        if self._may_return(death.name):
            self._start_again(death.name)
        else:
            self._warn(f"{death}; it has died too often to be started again")

    async def _revive(self, death: ProcessDied) -> None:
        """Start the shared-state server again; its clients come back by themselves. Raise when it dies too often."""
        if not self._may_return(STATE):
            raise death
        try:
            await self._premises.revive()
        except ProcessDied:
            # a death while it starts is the supervisor's next news, and counts like any other
            if not self._premises.children[STATE].ended.is_set():
                raise

    def _may_return(self, name: str) -> bool:
        """Note a death; tell whether the process has not died too often of late."""
        now = asyncio.get_running_loop().time()
        lately = [time for time in self._times[name] if now - time < DEATHS_WITHIN]
        self._times[name] = [*lately, now]
        return len(lately) < MAX_DEATHS
