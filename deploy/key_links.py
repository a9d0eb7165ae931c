"""The links that make keys block after block as long as the lab is up, and what has become of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from nodes.errors import RunFailed
from nodes.runtime.causes import root_cause
from nodes.runtime.conductor import Conductor
from nodes.runtime.run_request import RunRequest

PROGRAM: Final = "keys"
_DEADLINE = 30.0
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Wall seconds before a link begins again: the longer, the oftener it has failed without a block in between."""


RESUME_AT: Final = 0.9
"""So full is a store that was full when its link begins again."""


@dataclass(frozen=True, slots=True)
class LinkEnds:
    """A link that makes keys: its name, who sends the photons, who measures them."""

    name: str
    sender: str
    receiver: str


@dataclass(frozen=True, slots=True)
class KeyLinkStatus:
    """What a link has done since the lab is up, and its last block. ``trouble`` says why it makes no keys now.

    Of the blocks that were ``refused``, ``alarms`` were so for their errors.
    ``secret_rate_bps`` and ``qber`` are of the last block, None before there is one; ``epochs`` counts how often the
    two ends have begun.
    """

    link: str
    sender: str
    receiver: str
    epochs: int = 0
    blocks: int = 0
    refused: int = 0
    alarms: int = 0
    secret_bits: int = 0
    qber: float | None = None
    secret_rate_bps: float | None = None
    trouble: str = "not begun"


class KeyLinks:
    """Keeps ``links`` making keys: begins again after a cut, a restart of a node, a forged message.

    ``note`` hears of every trouble and of its end. ``filled`` tells how full the stores of a link are: it rests from 1
    on until somebody calls ``look`` and finds less than ``RESUME_AT``.
    """

    def __init__(
        self,
        conductor: Conductor,
        links: list[LinkEnds],
        note: Callable[[str], None] = lambda line: None,
        filled: Callable[[LinkEnds], float] = lambda link: 0.0,
    ) -> None:
        self._conductor = conductor
        self._links = links
        self._note = note
        self._filled = filled
        self._looked = asyncio.Event()
        self._status = {link.name: KeyLinkStatus(link.name, link.sender, link.receiver) for link in links}
        self._told = dict.fromkeys(self._status, "")
        self._changed = asyncio.Event()
        self._mended = {link.name: asyncio.Event() for link in links}

    async def serve(self) -> None:
        """Make keys on all links until cancelled."""
        async with asyncio.TaskGroup() as group:
            for link in self._links:
                group.create_task(self._keep(link))

    def status(self) -> list[KeyLinkStatus]:
        """Tell what has become of each link."""
        return list(self._status.values())

    async def change(self) -> None:
        """Wait until something has become of a link."""
        self._changed.clear()
        await self._changed.wait()

    def try_again(self, link: str) -> None:
        """Do not let a link wait any longer that has failed: it has been mended, say."""
        if link in self._mended:
            self._mended[link].set()

    def look(self) -> None:
        """Look at how full the stores are: they have changed."""
        self._looked.set()

    async def _keep(self, link: LinkEnds) -> None:
        failures, anew = 0, True
        request = RunRequest(
            PROGRAM, {"alice": link.sender, "bob": link.receiver}, rounds=0, deadline=_DEADLINE
        )
        while True:
            await self._conductor.ready([link.sender, link.receiver])
            if self._filled(link) >= 1:
                self._fail(link, "there is no room for more in the stores of its ends")
                await self._until(lambda: self._filled(link) < RESUME_AT)
                anew = True
            self._mended[link.name].clear()
            before = self._status[link.name]
            trouble = "no block yet" if anew else before.trouble
            self._update(link, epochs=before.epochs + 1, trouble=trouble)
            try:
                await self._make(link, request)
            except RunFailed as failure:
                # Until Python 3.13 a task group that is cancelled and fails at once forgets that it was cancelled.
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise asyncio.CancelledError from failure
                self._fail(link, str(failure))
                anew = failure.cause == "PeerGone"  # and is back when the link begins again
            failures = 0 if self._status[link.name].blocks > before.blocks else failures + 1
            await self._rest(link, _PAUSES[min(failures, len(_PAUSES) - 1)])

    async def _make(self, link: LinkEnds, request: RunRequest) -> None:
        """Make keys until the stores are full. Raise ``RunFailed``."""
        making = self._conductor.stand(request, lambda role, told: self._hear(link, role, told))
        try:
            async with asyncio.TaskGroup() as group:
                task, full = (
                    group.create_task(making),
                    group.create_task(self._until(lambda: self._filled(link) >= 1)),
                )
                await asyncio.wait([task, full], return_when=asyncio.FIRST_COMPLETED)
                full.cancel()
                task.cancel()
        except BaseExceptionGroup as failures:
            raise root_cause(failures) from failures

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._looked.clear()
            await self._looked.wait()

    async def _rest(self, link: LinkEnds, longest: float) -> None:
        """Wait before a link begins again, at most until one of its ends has come back or the link is mended."""
        waits = (self._mended[link.name].wait(), self._conductor.change_of(link.sender, link.receiver))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(wait) for wait in waits]
            await asyncio.wait(tasks, timeout=longest, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    def _hear(self, link: LinkEnds, role: str, told: Any) -> None:
        """Take the report of a block, which both ends make: Bob's is counted."""
        if role != "bob" or not isinstance(told, dict):
            return
        status = self._status[link.name]
        aborted, duration = bool(told["aborted"]), told["duration_s"]
        trouble = told["reason"] if aborted else ""
        # what is refused has other figures in each block, and its user need not hear of every one
        self._tell(link, "refused" if aborted else "", trouble)
        self._update(
            link,
            blocks=status.blocks + (not aborted),
            refused=status.refused + aborted,
            alarms=status.alarms + bool(told["alarm"]),
            secret_bits=status.secret_bits + told["secret_bits"],
            qber=told["qber"],
            secret_rate_bps=told["secret_bits"] / duration if duration else None,
            trouble=trouble,
        )

    def _fail(self, link: LinkEnds, why: str) -> None:
        self._tell(link, why, why)
        self._update(link, secret_rate_bps=None, trouble=why)

    def _tell(self, link: LinkEnds, state: str, trouble: str) -> None:
        """Note the trouble of a link when its state is another than last time."""
        if state != self._told[link.name]:
            self._told[link.name] = state
            self._note(f"link '{link.name}' " + (f"makes no keys: {trouble}" if trouble else "makes keys"))

    def _update(self, link: LinkEnds, **changes: Any) -> None:
        self._status[link.name] = replace(self._status[link.name], **changes)
        self._changed.set()
