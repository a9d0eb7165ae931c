"""Keys that wait at a node until an application of it collects them, and what remains of them: who, when, no byte.

Every application has a row, wrapped for it alone. A row goes to the tombstones in the transaction that deletes it, so
a key is collected once, however often it is asked for, and a reservation that arrives twice is recognised.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from nodes.keys.errors import NotEntitled, UnknownKeyIds
from nodes.keys.secret import Secret
from nodes.keys.units import Held
from nodes.keys.wrapping import Wrapper, new_salt


@dataclass(frozen=True, slots=True)
class Claim:
    """For whom keys wait: ``slave_saes`` of this node, as ``master_sae`` of the node ``pool`` wished at ``at`` (s)."""

    pool: str
    master_sae: str
    slave_saes: tuple[str, ...]
    at: float


class HeldKeys:
    """The tables ``held`` and ``tombstones``; every method works inside the transaction of its cursor."""

    def __init__(self, key_encryption_key: bytes) -> None:
        self._kek = key_encryption_key
        self._at_most: int | None = None

    def add(
        self, cursor: sqlite3.Cursor, key_id: str, secret: bytes, reproducible: bool, claim: Claim
    ) -> None:
        """Let a key wait for every slave of the claim."""
        for slave in claim.slave_saes:
            salt = new_salt()
            wrapped = Wrapper(self._kek, salt, "held", key_id, claim.master_sae, slave).wrap(0, secret)
            cursor.execute(
                "INSERT INTO held VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (key_id, slave, claim.master_sae, claim.pool, reproducible, claim.at, salt, wrapped),
            )
        if self._at_most is not None:
            self._at_most += len(claim.slave_saes)

    def knows(self, cursor: sqlite3.Cursor, key_id: str) -> bool:
        """Tell whether a key of this name waits here, or did."""
        query = (
            "SELECT 1 FROM held WHERE key_id=?1 UNION ALL SELECT 1 FROM tombstones WHERE key_id=?1 LIMIT 1"
        )
        return cursor.execute(query, (key_id,)).fetchone() is not None

    def has_room(self, cursor: sqlite3.Cursor, more: int, capacity: int) -> bool:
        """Tell whether so many more rows are within the capacity. Counts only when it may be reached."""
        if self._at_most is None or self._at_most + more > capacity:
            (self._at_most,) = cursor.execute("SELECT count(*) FROM held").fetchone()
        return self._at_most + more <= capacity

    def release(
        self, cursor: sqlite3.Cursor, key_ids: Sequence[str], master_sae: str, slave_sae: str, at: float
    ) -> list[Held]:
        """Give away all keys of these ids. Raises ``NotEntitled`` or ``UnknownKeyIds``, and none is to be given."""
        rows = {key_id: self._row(cursor, key_id, master_sae, slave_sae) for key_id in key_ids}
        if missing := [key_id for key_id, row in rows.items() if row is None]:
            raise UnknownKeyIds(missing)
        released = []
        for key_id, row in rows.items():
            assert row is not None
            reproducible, salt, wrapped = row
            secret = Wrapper(self._kek, salt, "held", key_id, master_sae, slave_sae).unwrap(0, wrapped)
            self._bury(cursor, "collected", at, "key_id=? AND slave=?", (key_id, slave_sae))
            released.append(Held(key_id, Secret(secret), bool(reproducible)))
        return released

    def withdraw(self, cursor: sqlite3.Cursor, pool: str, key_ids: Sequence[str], at: float) -> int:
        """Drop what still waits of keys that the node ``pool`` takes back."""
        return sum(
            self._bury(cursor, "withdrawn", at, "key_id=? AND pool=?", (key_id, pool)) for key_id in key_ids
        )

    def expire(self, cursor: sqlite3.Cursor, before: float, at: float) -> int:
        """Drop what waits since ``before`` or longer, and forget the tombstones that are as old."""
        cursor.execute("DELETE FROM tombstones WHERE at<=?", (before,))
        return self._bury(cursor, "expired", at, "at<=?", (before,))

    def _row(
        self, cursor: sqlite3.Cursor, key_id: str, master_sae: str, slave_sae: str
    ) -> tuple[int, bytes, bytes] | None:
        rows = cursor.execute(
            "SELECT slave, master, reproducible, salt, wrapped FROM held WHERE key_id=?", (key_id,)
        ).fetchall()
        for slave, master, *row in rows:
            if (slave, master) == (slave_sae, master_sae):
                return row[0], row[1], row[2]
        collected = cursor.execute(
            "SELECT 1 FROM tombstones WHERE (key_id, slave, master)=(?, ?, ?)",
            (key_id, slave_sae, master_sae),
        ).fetchone()
        if rows and collected is None:
            raise NotEntitled(f"key {key_id} was not made for '{slave_sae}' by '{master_sae}'")
        return None

    def _bury(
        self, cursor: sqlite3.Cursor, fate: str, at: float, which: str, names: tuple[object, ...]
    ) -> int:
        buried = cursor.execute(
            f"DELETE FROM held WHERE {which} RETURNING key_id, slave, master, pool", names
        ).fetchall()
        cursor.executemany(
            "INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?, ?, ?)",
            [(*row, fate, at) for row in buried],
        )
        if self._at_most is not None:
            self._at_most -= len(buried)
        return len(buried)
