"""Nodes may come to the control party with runs that nobody conducts any more: they end these before anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from nodes.runtime.still import StandStill
from nodes.runtime.succession import Succession
from shared_state.oracle import OracleClient


class Meeting:
    """Meets each node once, and again when the broker has lost mail. ``conducted`` names the runs that go on."""

    def __init__(
        self,
        succession: Succession,
        oracle: OracleClient,
        still: StandStill,
        conducted: Callable[[], list[str]],
    ) -> None:
        self._succession = succession
        self._oracle = oracle
        self._still = still
        self._conducted = conducted
        self._met: set[str] = set()
        self._one = asyncio.Lock()
        self._came: asyncio.Queue[str] = asyncio.Queue()
        self._broker_lost_mail = False

    def note_mail_lost(self) -> None:
        """Meet everybody again: what they were told of runs that were called off may be lost."""
        self._broker_lost_mail = True
        self._met.clear()

    def note_ready(self, node: str) -> None:
        """Hear that a node has come, or says after an outage that it is there still."""
        if self._broker_lost_mail:
            self._came.put_nowait(node)

    async def serve(self) -> None:
        """Meet those who come until cancelled."""
        while True:
            await self.meet([await self._came.get()])

    async def meet(self, nodes: Collection[str]) -> None:
        """Let nodes that may take part in runs which nobody conducts end these.

        Those are the runs of another control party before this one, and such as were called off while the broker was
        away. In virtual time nobody goes on meanwhile.
        """
        async with self._one:
            new = [node for node in nodes if node not in self._met]
            self._met |= set(new)
            if not new or not (self._broker_lost_mail or await self._succession.before()):
                return
            async with self._still.held():
                runs = self._conducted()
                await self._succession.end_others(new, runs, "nobody conducts it any more")
                await self._oracle.discard_others(runs)
