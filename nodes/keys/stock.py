"""Blocks and units in the tables ``blocks`` and ``units``; every method works inside the transaction of its cursor."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nodes.keys.errors import BlockRepeated, KeysExhausted, Reproducible, UnitsUnknown
from nodes.keys.secret import Secret
from nodes.keys.units import UNIT_BYTES, Block, Origin, PoolLevel, Taken, Unit
from nodes.keys.wrapping import Wrapper, new_salt

_COLUMNS = "pool, block, origin, reproducible, units, remaining, ready"
_DRAW = (
    "DELETE FROM units WHERE block=?1 AND position IN "
    "(SELECT position FROM units WHERE block=?1 ORDER BY position {} LIMIT ?2) RETURNING position, wrapped"
)


@dataclass(frozen=True, slots=True)
class _Row:
    """What is needed to work with the units of a block."""

    number: int
    block: str
    salt: bytes
    units: int
    remaining: int
    reproducible: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """One unit with its 32 bytes, deleted in the transaction that is under way."""

    unit: Unit
    octets: bytes
    wrapped: bytes
    reproducible: bool


class Stock:
    """What is stored of key, by pool and block."""

    def __init__(self, key_encryption_key: bytes) -> None:
        def make(salt: bytes, pool: str, block: str) -> Wrapper:
            return Wrapper(key_encryption_key, salt, pool, block)

        self._wrapper = lru_cache(maxsize=256)(make)

    def insert(self, cursor: sqlite3.Cursor, block: Block, key: bytes) -> int:
        """Store ``key`` as the units of a block and count them. Raises ``BlockRepeated``."""
        salt, units = new_salt(), len(key) // UNIT_BYTES
        facts = (block.pool, block.block, block.origin, block.reproducible, units, units, block.ready, salt)
        try:
            cursor.execute(
                "INSERT INTO blocks (pool, block, origin, reproducible, units, remaining, ready, salt) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                facts,
            )
        except sqlite3.IntegrityError as repeated:
            raise BlockRepeated(block.pool, block.block) from repeated
        number, wrap = cursor.lastrowid, self._wrapper(salt, block.pool, block.block).wrap
        cursor.executemany(
            "INSERT INTO units VALUES (?, ?, ?)",
            (
                (number, index, wrap(index, key[UNIT_BYTES * index : UNIT_BYTES * (index + 1)]))
                for index in range(units)
            ),
        )
        return units

    def delete(self, cursor: sqlite3.Cursor, pool: str, block: str) -> int:
        """Delete what is left of a block and count it; its name stays taken."""
        row = self._row(cursor, pool, block)
        if row is None:
            return 0
        cursor.execute("DELETE FROM units WHERE block=?", (row.number,))
        cursor.execute("UPDATE blocks SET remaining=0 WHERE number=?", (row.number,))
        return row.remaining

    def transform(
        self, cursor: sqlite3.Cursor, old: Block, new: Block, change: Callable[[bytes], bytes]
    ) -> int:
        """Replace an untouched block by the bytes that ``change`` makes of its own. Raises ``UnitsUnknown``."""
        row = self._row(cursor, old.pool, old.block)
        if row is None:
            raise UnitsUnknown(old.pool, 1, [old.block])
        if row.remaining != row.units:
            raise UnitsUnknown(old.pool, row.units - row.remaining, [])
        stored = cursor.execute(
            "SELECT position, wrapped FROM units WHERE block=? ORDER BY position", (row.number,)
        ).fetchall()
        pieces = self._opened(old.pool, row, stored)
        self.delete(cursor, old.pool, old.block)
        return self.insert(cursor, new, change(b"".join(piece.octets for piece in pieces)))

    def draw(
        self, cursor: sqlite3.Cursor, pool: str, wanted: int, newest: bool, reproducible_too: bool
    ) -> list[Piece]:
        """Delete and return the oldest or newest units. Raises ``KeysExhausted`` or ``Reproducible``."""
        order = "DESC" if newest else "ASC"
        pieces: list[Piece] = []
        while missing := wanted - len(pieces):
            found = cursor.execute(
                "SELECT number, block, salt, units, remaining, reproducible FROM blocks WHERE pool=? AND ready=1 "
                f"AND remaining>0 AND reproducible<=? ORDER BY number {order} LIMIT 1",
                (pool, reproducible_too),
            ).fetchone()
            if found is None:
                raise self._shortage(cursor, pool, wanted, len(pieces))
            row = _Row(*found)
            stored = cursor.execute(_DRAW.format(order), (row.number, missing)).fetchall()
            stored.sort(reverse=newest)
            self._count(cursor, row.number, -len(stored))
            pieces += self._opened(pool, row, stored)
        return pieces

    def remove(
        self, cursor: sqlite3.Cursor, pool: str, units: Sequence[Unit]
    ) -> tuple[dict[Unit, Piece], list[str]]:
        """Delete and return those of the units that are here; also the names of blocks that never were."""
        by_block: dict[str, list[int]] = {}
        for unit in units:
            by_block.setdefault(unit.block, []).append(unit.index)
        found: dict[Unit, Piece] = {}
        unknown = []
        for block, positions in by_block.items():
            row = self._row(cursor, pool, block)
            if row is None or max(positions) >= row.units:
                unknown.append(block)
                continue
            stored = cursor.execute(
                "DELETE FROM units WHERE block=? AND position IN (SELECT value FROM json_each(?)) "
                "RETURNING position, wrapped",
                (row.number, json.dumps(positions)),
            ).fetchall()
            self._count(cursor, row.number, -len(stored))
            found |= {piece.unit: piece for piece in self._opened(pool, row, stored)}
        return found, unknown

    def put_back(self, cursor: sqlite3.Cursor, pool: str, taken: Taken) -> None:
        """Store units again as they lay before, unless their block is gone."""
        for unit, wrapped in zip(taken.units, taken.wrapped, strict=True):
            row = self._row(cursor, pool, unit.block)
            if row is not None:
                cursor.execute("INSERT INTO units VALUES (?, ?, ?)", (row.number, unit.index, wrapped))
                self._count(cursor, row.number, 1)

    def find(self, cursor: sqlite3.Cursor, pool: str, block: str) -> Block | None:
        """Tell what is left of a block; None when it was never deposited."""
        query = f"SELECT {_COLUMNS} FROM blocks WHERE pool=? AND block=?"
        row = cursor.execute(query, (pool, block)).fetchone()
        return None if row is None else _as_block(row)

    def unconfirmed(self, cursor: sqlite3.Cursor) -> list[Block]:
        """List the blocks that are not ready, oldest first."""
        query = f"SELECT {_COLUMNS} FROM blocks WHERE ready=0 AND remaining>0 ORDER BY number"
        return [_as_block(row) for row in cursor.execute(query)]

    def levels(self, cursor: sqlite3.Cursor) -> list[PoolLevel]:
        """Tell what is stored, by pool."""
        rows = cursor.execute(
            "SELECT pool, sum(remaining * ready), sum(remaining * ready * reproducible), "
            "sum(remaining * (1 - ready)), group_concat(DISTINCT origin) "
            "FROM blocks WHERE remaining>0 GROUP BY pool ORDER BY pool"
        )
        return [
            PoolLevel(pool, units, reproducible, unconfirmed, tuple(sorted(origins.split(","))))
            for pool, units, reproducible, unconfirmed, origins in rows
        ]

    def _shortage(
        self, cursor: sqlite3.Cursor, pool: str, wanted: int, found: int
    ) -> KeysExhausted | Reproducible:
        level = next((level for level in self.levels(cursor) if level.pool == pool), None)
        if level is not None and level.reproducible and found + level.units >= wanted:
            return Reproducible(pool)
        return KeysExhausted(pool, wanted, found)

    def _row(self, cursor: sqlite3.Cursor, pool: str, block: str) -> _Row | None:
        query = (
            "SELECT number, block, salt, units, remaining, reproducible FROM blocks WHERE pool=? AND block=?"
        )
        found = cursor.execute(query, (pool, block)).fetchone()
        return None if found is None else _Row(*found)

    def _opened(self, pool: str, row: _Row, stored: Sequence[tuple[int, bytes]]) -> list[Piece]:
        unwrap = self._wrapper(row.salt, pool, row.block).unwrap
        return [
            Piece(Unit(row.block, position), unwrap(position, wrapped), wrapped, bool(row.reproducible))
            for position, wrapped in stored
        ]

    @staticmethod
    def _count(cursor: sqlite3.Cursor, number: int, change: int) -> None:
        cursor.execute("UPDATE blocks SET remaining=remaining+? WHERE number=?", (change, number))


def key_of(pieces: Sequence[Piece], size: int) -> Taken:
    """Cut a key of ``size`` bytes from units; the rest of the last one is dropped."""
    return Taken(
        units=tuple(piece.unit for piece in pieces),
        secret=Secret(b"".join(piece.octets for piece in pieces)[:size]),
        reproducible=any(piece.reproducible for piece in pieces),
        wrapped=tuple(piece.wrapped for piece in pieces),
    )


def _as_block(row: tuple[str, str, Origin, int, int, int, int]) -> Block:
    pool, block, origin, reproducible, deposited, units, ready = row
    return Block(pool, block, origin, bool(reproducible), deposited, units, bool(ready))
