"""The record of a lab on other hosts, in a file of this one: its events, written down here as they come.

    shared-state server ── control plane ── mirror ── file ── what waits for events, lists them, attaches them

A connection that is cut is made again, and the events go on from where they stopped. Whoever sets a mark at the end of
the file catches up first: asks the lab how many events there have been, and waits until they are all there. So none
that has happened before the mark comes after it.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, closing
from pathlib import Path
from typing import BinaryIO, Final

from deploy.errors import ControlUnreachable, DeployError
from deploy.recording import FORMAT
from deploy.remote_lab import RemoteLab
from shared_state.oracle import Passage, Told

_WITHIN: Final = 12.0
"""Wall seconds in which events that have happened are to be here."""
_AGAIN_AFTER: Final = 0.2


class Mirror:
    """The events of ``lab`` since ``begin``, in ``file``."""

    def __init__(self, lab: RemoteLab, file: Path) -> None:
        self._lab = lab
        self._file = file
        self._told = Told("", 0)
        self._trouble = ""
        self._missing = 0
        self._anew = False
        self._changed = asyncio.Condition()

    async def begin(self, lab: str) -> None:
        """Begin the file, with the head of a record. Raise ``Reported`` where the lab keeps no events for who asks."""
        self._told = await self._lab.told()
        head = {"bellwire_record": FORMAT, "lab": lab, "record": self._told.record, "after": self._told.count}
        self._file.write_text(f"{json.dumps(head)}\n", encoding="utf-8")

    async def keep(self) -> None:
        """Write down what comes, for ever."""
        with closing(self._file.open("ab", buffering=0)) as file:
            while True:
                try:
                    await self._follow(file)
                    self._trouble = "the lab has gone down"
                except DeployError as error:
                    self._trouble = str(error)
                await asyncio.sleep(_AGAIN_AFTER)  # nothing tells when a lab can be reached again

    async def catch_up(self) -> None:
        """Return when all is in the file that has happened so far. Raise ``ControlUnreachable`` when that is not."""
        awaited = "how many events have happened was not told"
        try:
            async with asyncio.timeout(_WITHIN):
                told = await self._lab.told()
                awaited = f"{told.count} events have happened, and not all of them have come"
                async with self._changed:
                    await self._changed.wait_for(lambda: self._has(told))
        except TimeoutError:
            why = f": {self._trouble}" if self._trouble else ""
            raise ControlUnreachable(f"{awaited} within {_WITHIN:g} s{why}") from None

    def hindrance(self) -> str:
        """Say why events may be missing; nothing where none are."""
        said = [f"no events come now: {self._trouble}"] if self._trouble else []
        if self._missing:
            said.append(f"{self._missing} events were gone before they could be fetched")
        if self._anew:
            said.append("the shared-state server was started anew, and forgot what it had told")
        return "; ".join(said)

    def _has(self, told: Told) -> bool:
        return self._told.record == told.record and self._told.count >= told.count

    async def _follow(self, file: BinaryIO) -> None:
        """Write down what comes until the lab goes down; those of another server, which counts anew, from its first."""
        told = await self._lab.told()
        if told.record != self._told.record:
            self._anew = True
            await self._note(Told(told.record, 0))
        async with aclosing(self._lab.events(told.record, self._told.count)) as passages:
            self._trouble = ""
            async for passage in passages:
                await self._write(file, passage)

    async def _write(self, file: BinaryIO, passage: Passage) -> None:
        self._missing += passage.first - self._told.count
        file.write("".join(f"{line}\n" for line in passage.lines).encode())
        await self._note(Told(self._told.record, passage.end))

    async def _note(self, told: Told) -> None:
        async with self._changed:
            self._told = told
            self._changed.notify_all()
