"""A partition of the classical network, as one party sees it: whom it cannot reach, and what it has said to them since.

MQTT is a reliable transport, so a message across a partition is not lost: it waits here, and travels when the partition
has healed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

from broker.envelope import Envelope
from nodes.errors import Partitioned
from nodes.runtime.run_mail import run_of

MOST_KEPT: Final = 64 << 20
"""Bytes that may wait for one party."""


class Partition:
    """Keeps what is for parties that are ``severed``; what has waited for others again is put into ``released``."""

    def __init__(self) -> None:
        self.severed: frozenset[str] = frozenset()
        self.released: asyncio.Queue[Envelope] = asyncio.Queue()
        self._kept: list[tuple[Envelope, int]] = []
        self._waiting: Counter[str] = Counter()

    def sever(self, parties: Collection[str]) -> None:
        """Let these parties be out of reach, and no others."""
        self.severed = frozenset(parties)

    def check_room(self, recipient: str, size: int) -> None:
        """Raise ``Partitioned`` unless a message of so many bytes can be sent, or can wait."""
        if recipient not in self.severed:
            return
        if self._waiting[recipient] + size > MOST_KEPT:
            raise Partitioned(recipient, self._waiting[recipient])

    def keep(self, envelope: Envelope, size: int) -> bool:
        """Keep a message for a party that is out of reach; tell whether it is."""
        if envelope.recipient not in self.severed:
            return False
        self._kept.append((envelope, size))
        self._waiting[envelope.recipient] += size
        return True

    def healed(self) -> list[tuple[Envelope, int]]:
        """Take out what is for parties that can be reached again, each with its bytes, in the order of sending."""
        return self._take_out(lambda envelope: envelope.recipient not in self.severed)

    def forget(self, run: str) -> Counter[str]:
        """Drop what belongs to a run that is over, for nobody wants it any more; count the messages by recipient."""
        return _by_recipient(self._take_out(lambda envelope: run_of(envelope.session) == run))

    def forsake(self) -> Counter[str]:
        """Drop all that waits, for its sender does not wait any longer; count the messages by recipient."""
        return _by_recipient(self._take_out(lambda envelope: True))

    def _take_out(self, which: Callable[[Envelope], bool]) -> list[tuple[Envelope, int]]:
        taken = [each for each in self._kept if which(each[0])]
        self._kept = [each for each in self._kept if not which(each[0])]
        for envelope, size in taken:
            self._waiting[envelope.recipient] -= size
        return taken


def _by_recipient(taken: list[tuple[Envelope, int]]) -> Counter[str]:
    return Counter(envelope.recipient for envelope, _ in taken)
