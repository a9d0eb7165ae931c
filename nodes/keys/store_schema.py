"""The key store's SQLite file: its tables, how it is opened, and what its errors mean.

WAL with ``synchronous=FULL``: a commit is on the disk when it returns. ``secure_delete``: deleted rows are overwritten
with zeros. Writers begin with ``BEGIN IMMEDIATE`` and wait for each other, threads and processes alike.

    blocks      a row per block ever deposited, so that none comes twice; ``remaining`` of its ``units`` are stored
    units       the wrapped units. One below the block's ``units`` that is not here is spent: that is its tombstone
    held        keys that wait for an application of this node, wrapped
    tombstones  keys that waited here and were collected, withdrawn or too old: who, when, and no byte of them
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from nodes.keys.errors import (
    StoreBusy,
    StoreCorrupted,
    StoreForeign,
    StoreFull,
    StoreUnusable,
    WrongWrappingKey,
)
from nodes.keys.wrapping import fingerprint

APPLICATION_ID = 0x42574B53  # "BWKS"
VERSION = 1
_BUSY_SECONDS = 10.0

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
    number INTEGER PRIMARY KEY, pool TEXT NOT NULL, block TEXT NOT NULL, origin TEXT NOT NULL,
    reproducible INTEGER NOT NULL, units INTEGER NOT NULL, remaining INTEGER NOT NULL, ready INTEGER NOT NULL,
    salt BLOB NOT NULL, UNIQUE (pool, block));
CREATE INDEX stock ON blocks (pool, ready, number) WHERE remaining > 0;
CREATE TABLE units (
    block INTEGER NOT NULL, position INTEGER NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (block, position)
    ) WITHOUT ROWID;
CREATE TABLE held (
    key_id TEXT NOT NULL, slave TEXT NOT NULL, master TEXT NOT NULL, pool TEXT NOT NULL,
    reproducible INTEGER NOT NULL, at REAL NOT NULL, salt BLOB NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (key_id, slave)) WITHOUT ROWID;
CREATE INDEX held_since ON held (at);
CREATE TABLE tombstones (
    key_id TEXT NOT NULL, slave TEXT NOT NULL, master TEXT NOT NULL, pool TEXT NOT NULL,
    fate TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (key_id, slave)) WITHOUT ROWID;
CREATE INDEX tombstone_since ON tombstones (at);
"""


class Database:
    """The opened file, shared by the threads of this process. ``path`` None: in memory, gone with the process."""

    def __init__(self, path: Path | None, key_encryption_key: bytes) -> None:
        self._path = path
        self._lock = Lock()
        if path is not None:
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))  # SQLite's own files follow its mode
        with self._translated():
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare(fingerprint(key_encryption_key))
        except BaseException:
            self._connection.close()
            raise

    @property
    def changes(self) -> int:
        """Count the rows that this connection has changed."""
        return self._connection.total_changes

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """Let the block be one transaction: committed, and on the disk, at its end; undone when it raises.

        Raises ``StoreUnusable`` when SQLite cannot do it.
        """
        with self._lock, self._translated():
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """Let the block read what is committed."""
        with self._lock, self._translated():
            cursor = self._connection.cursor()
            try:
                yield cursor
            finally:
                cursor.close()

    def truncate_log(self) -> None:
        """Move what is committed from the write-ahead log to the database and make the log empty."""
        with self.reading() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the file; the log is merged by the last process that does."""
        with self._lock, self._translated():
            self._connection.close()

    def _prepare(self, mark: bytes) -> None:
        with self.reading() as cursor:
            cursor.execute("PRAGMA secure_delete=ON").fetchall()
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA journal_mode=WAL").fetchall()
        with self.transaction() as cursor:
            (application,) = cursor.execute("PRAGMA application_id").fetchone()
            (tables,) = cursor.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if application == 0 and tables == 0:
                self._create(cursor, mark)
            else:
                self._check(cursor, application, mark)

    def _create(self, cursor: sqlite3.Cursor, mark: bytes) -> None:
        for statement in _TABLES.split(";\n"):
            cursor.execute(statement)
        cursor.execute("INSERT INTO meta VALUES ('wrapping key', ?)", (mark,))
        cursor.execute(f"PRAGMA user_version={VERSION}")
        cursor.execute(f"PRAGMA application_id={APPLICATION_ID}")

    def _check(self, cursor: sqlite3.Cursor, application: int, mark: bytes) -> None:
        (version,) = cursor.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise StoreForeign(f"{self._name()} is a database of another program; name another file")
        if version != VERSION:
            raise StoreForeign(
                f"{self._name()} is a key store of version {version}, and this program works with version {VERSION}"
            )
        ((report,),) = cursor.execute("PRAGMA quick_check(1)").fetchall()
        if report != "ok":
            raise StoreCorrupted(f"{self._name()} is damaged: {report}")
        (known,) = cursor.execute("SELECT value FROM meta WHERE name='wrapping key'").fetchone()
        if known != mark:
            raise WrongWrappingKey(
                f"{self._name()} was made with another key-encryption key; without that one its keys are lost"
            )

    def _name(self) -> str:
        return str(self._path or "the key store in memory")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._meaning(error) from error

    def _meaning(self, error: sqlite3.Error) -> StoreUnusable:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        match code:
            case sqlite3.SQLITE_FULL:
                return StoreFull(f"the disk of {self._name()} is full; nothing was changed")
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return StoreBusy(f"another process has kept {self._name()} locked for {_BUSY_SECONDS:g} s")
            case sqlite3.SQLITE_NOTADB:
                return StoreForeign(f"{self._name()} is not a database; name another file")
            case sqlite3.SQLITE_CORRUPT:
                return StoreCorrupted(f"{self._name()} is damaged: {error}")
        return StoreUnusable(f"{self._name()} cannot be used: {error}")
