"""What survives the server's death: every accepted input, written down before anything is answered.

The world is a function of its inputs, so the inputs are what is kept: one row for all that was accepted in one turn,
in an SQLite file. Now and then a picture of the whole world replaces the rows before it, so that they stay few.

The file is written ahead (WAL) and handed to the operating system at every commit, which outlives the process. When
the machine itself loses power the last moments may be missing; what there is, is whole.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgpack
import numpy as np

from shared_state.config import ServerConfig
from shared_state.errors import JournalFailed

FORMAT: Final = 1
PICTURE_AFTER: Final = 8 * 2**20
"""Bytes of entries after which a picture is worth its while; a large picture is taken more rarely."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (number INTEGER PRIMARY KEY, entries BLOB NOT NULL);
"""


class Journal:
    """The journal of one server. ``now`` is the time of day in seconds, for a clock that runs on over a restart.

    ``entropy`` is what the dice are made from, ``age`` how many seconds ago the journal began.

    Raises:
        JournalFailed: the file belongs to another lab, is in use, or cannot be read or written.
    """

    def __init__(self, path: Path, config: ServerConfig, now: float) -> None:
        self._path = path
        self._turn: list[bytes] = []
        self._written = 0
        self._threshold = PICTURE_AFTER
        with self._told():
            # made for this user alone before anything is in it
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._file.executescript(
                "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                + _TABLES
            )
            self._check_owner(f"{FORMAT}/{sha256(repr((config.lab, config.world)).encode()).hexdigest()}")
            seed = config.world.seed
            self.entropy = int(self._fact("entropy", np.random.SeedSequence(seed).entropy))
            self.age = max(0.0, now - float(self._fact("began", now)))

    def picture(self) -> bytes | None:
        """Return the last picture of the world, None when there is none."""
        with self._told():
            row = self._file.execute("SELECT value FROM facts WHERE name = 'picture'").fetchone()
        return None if row is None else bytes(row[0])

    def entries(self) -> Iterator[list[object]]:
        """Return what was accepted after the picture, in order."""
        with self._told():
            rows = self._file.execute("SELECT entries FROM turns ORDER BY number")
            for (packed,) in rows:
                self._written += len(packed)
                unpacker = msgpack.Unpacker(max_buffer_size=0, strict_map_key=False)
                unpacker.feed(packed)
                yield from unpacker

    def write(self, entry: list[object]) -> None:
        """Add an entry to the turn."""
        self._turn.append(msgpack.packb(entry))

    def commit(self) -> bool:
        """Make the turn's entries last; tell whether it is time for a picture. Raises JournalFailed."""
        if not self._turn:
            return False
        packed = b"".join(self._turn)
        with self._told():
            self._file.execute("INSERT INTO turns (entries) VALUES (?)", (packed,))
        self._turn.clear()
        self._written += len(packed)
        return self._written > self._threshold

    def replace(self, picture: bytes) -> None:
        """Let a picture of the world stand for all entries so far. Raises JournalFailed."""
        with self._told():
            self._file.execute("BEGIN")
            self._file.execute("DELETE FROM turns")
            self._file.execute("INSERT OR REPLACE INTO facts VALUES ('picture', ?)", (picture,))
            self._file.execute("COMMIT")
        self._written = 0
        self._threshold = max(PICTURE_AFTER, 8 * len(picture))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _fact(self, name: str, value: object) -> str:
        """Return what was written under the name; the first time, write it."""
        self._file.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, str(value)))
        return str(self._file.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()[0])

    def _check_owner(self, owner: str) -> None:
        if self._fact("owner", owner) != owner:
            raise JournalFailed(
                f"the journal {self._path} belongs to another lab, to another description of this one, or to "
                "another version of the server: remove it to begin anew."
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise JournalFailed(
                f"the journal {self._path} fails: {error}. Nothing more is acknowledged; free the disk, or remove "
                "the file to begin anew."
            ) from error
