"""A process that takes keys as fast as it can and tells which it has got, for whoever kills it."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

from nodes.keys.store import KeyStore
from tests.nodes.keys.key_lab import KEK


def take_for_ever(path: str, newest: bool, told: Connection) -> None:
    """Take one key and five keys in turn. A message is told after ``take`` has returned, in one piece or not at all."""
    store = KeyStore(Path(path), KEK)
    while True:
        for count in (1, 5):
            for taken in store.take("bob", 32, count, newest=newest):
                (unit,) = taken.units
                told.send_bytes(unit.index.to_bytes(4, "big") + taken.secret.reveal())
