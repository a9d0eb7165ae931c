"""A partition of the classical network, as one party sees it: whom it cannot reach, and what it has said to them since.

MQTT is a reliable transport, so a message across a partition is not lost: it waits here, and travels when the partition
has healed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from broker.envelope import Envelope
from nodes.errors import Partitioned

MOST_KEPT: Final = 64 << 20
"""Bytes that may wait for one party."""


class Partition:
    """Keeps what is for parties that are ``severed``; what has waited for others again is put into ``released``."""

    def __init__(self) -> None:
        self.severed: frozenset[str] = frozenset()
        self.released: asyncio.Queue[Envelope] = asyncio.Queue()
        self._kept: list[tuple[Envelope, int]] = []

    def sever(self, parties: Collection[str]) -> None:
        """Let these parties be out of reach, and no others."""
        self.severed = frozenset(parties)

    def check_room(self, recipient: str, size: int) -> None:
        """Raise ``Partitioned`` unless a message of so many bytes can be sent, or can wait."""
        if recipient not in self.severed:
            return
        waiting = sum(size for envelope, size in self._kept if envelope.recipient == recipient)
        if waiting + size > MOST_KEPT:
            raise Partitioned(recipient, waiting)

    def keep(self, envelope: Envelope, size: int) -> bool:
        """Keep a message for a party that is out of reach; tell whether it is."""
        if envelope.recipient not in self.severed:
            return False
        self._kept.append((envelope, size))
        return True

    def healed(self) -> list[tuple[Envelope, int]]:
        """Take out what is for parties that can be reached again, each with its bytes, in the order of sending."""
        free = [each for each in self._kept if each[0].recipient not in self.severed]
        self._kept = [each for each in self._kept if each[0].recipient in self.severed]
        return free

    def forget(self, run: str) -> None:
        """Drop what belongs to a run that is over: nobody wants it any more."""
        self._kept = [each for each in self._kept if each[0].session.partition(":")[0] != run]
