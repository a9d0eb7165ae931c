"""Who of a lab's nodes is there, and as which process, from what they, the broker or the launcher announce."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence


class Attendance:
    """Knows what each node last said of itself: ``ready``, ``left`` or ``lost``; who waits for it hears of changes."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._processes: dict[str, str] = {}
        self._given_up: dict[str, str] = {}
        self._changed = asyncio.Event()

    def note(self, node: str, state: str, process: str) -> bool:
        """Note a node's state; tell whether it is ready in place of a ``process`` that it was before."""
        self._states[node] = state
        self._changed.set()
        if state != "ready":
            return False
        former = self._processes.setdefault(node, process)
        self._processes[node] = process
        return former != process

    def give_up(self, node: str, story: str) -> None:
        """Keep why a node has no part in anything any more, though its process may live."""
        self._given_up[node] = story

    def story(self, node: str, otherwise: str) -> str:
        """Say why a node was given up, or ``otherwise`` if it was not."""
        return self._given_up.get(node, otherwise)

    def states(self) -> dict[str, str]:
        """Return what each node last said of itself."""
        return dict(self._states)

    def is_ready(self, node: str) -> bool:
        """Tell whether a node is ready."""
        return self._states.get(node) == "ready"

    def has_left(self, node: str) -> bool:
        """Tell whether a node has gone for good, or until it is started again."""
        return self._states.get(node) == "left"

    async def ready(self, nodes: Sequence[str]) -> None:
        """Wait until all ``nodes`` are ready."""
        while not all(map(self.is_ready, nodes)):
            await self._change()

    async def change_of(self, nodes: Sequence[str]) -> None:
        """Wait until the state of one of ``nodes`` is another one than now."""
        before = [self._states.get(node) for node in nodes]
        while [self._states.get(node) for node in nodes] == before:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
