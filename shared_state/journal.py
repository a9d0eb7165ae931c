"""What survives the server's death: every accepted input, written down before anything is answered.

The world is a function of its inputs, so the inputs are what is kept: one row for all that was accepted in one turn,
in an SQLite file. Now and then a picture of the whole world replaces the rows before it, so that they stay few.

The file is written ahead (WAL) and handed to the operating system at every commit, which outlives the process. When
the machine itself loses power the last moments may be missing; what there is, is whole.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgpack
import numpy as np

from shared_state.config import ServerConfig
from shared_state.errors import JournalFailed

FORMAT: Final = 6
PICTURE_AFTER: Final = 8 * 2**20
"""Bytes of entries after which a picture is worth its while, or eight times the picture where that is more."""
REPLAYED: Final = 2.0
"""Wall seconds of work after which a picture is worth its while: what a restart has to do again."""
SHARE: Final = 10
"""So many times as long as the last picture took the server works before it takes the next."""

LONGEST_REPLAY: Final = 15.0
"""Wall seconds of work after which a picture is due however long it takes: clients dial a server for 30 s."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (number INTEGER PRIMARY KEY, age REAL NOT NULL, entries BLOB NOT NULL);
"""


class Journal:
    """The journal of one server. ``now`` is the time of day in seconds, for a clock that runs on over a restart.

    ``entropy`` is what the dice are made from. ``age`` is how many seconds ago the journal began, and never less than
    what was written last says: a time of day that was set back does not turn the lab's clock back, or hold it.

    Raises:
        JournalFailed: the file belongs to another lab, is in use, or cannot be read or written.
    """

    def __init__(self, path: Path, config: ServerConfig, now: float) -> None:
        self._path = path
        self._turn: list[list[object]] = []
        self._written = 0
        self._worked = 0.0
        self._enough_written = PICTURE_AFTER
        self._enough_worked = REPLAYED
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
            self.age = self._age(now)

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
        self._turn.append(entry)

    def work(self, seconds: float) -> None:
        """Note that doing what is written has taken so many wall seconds, as doing it again will."""
        self._worked += seconds

    def commit(self, open_for: float) -> None:
        """Make the turn's entries last; the file has been open for so many seconds. Raises JournalFailed."""
        if not self._turn:
            return
        with self._told():
            packed = b"".join(msgpack.packb(entry) for entry in self._turn)
            age = self.age + open_for
            self._file.execute("INSERT INTO turns (age, entries) VALUES (?, ?)", (age, packed))
        self._turn.clear()
        self._written += len(packed)

    @property
    def long(self) -> bool:
        """Tell whether it is time for a picture."""
        return self._written > self._enough_written or self._worked > self._enough_worked

    @property
    def too_long(self) -> bool:
        """Tell whether it is time for a picture even if the others have to wait for seconds meanwhile."""
        return self._written > 8 * self._enough_written or self._worked > LONGEST_REPLAY

    def replace(self, picture: Callable[[], bytes], monotonic: Callable[[], float]) -> None:
        """Let a picture of the world, which is taken now, stand for all entries so far. Raises JournalFailed."""
        began = monotonic()
        with self._told():
            painted = picture()
            self._file.execute("BEGIN")
            self._file.execute("INSERT OR REPLACE INTO facts SELECT 'age', max(age) FROM turns")
            self._file.execute("DELETE FROM turns")
            self._file.execute("INSERT OR REPLACE INTO facts VALUES ('picture', ?)", (painted,))
            self._file.execute("COMMIT")
        self._written, self._worked = 0, 0.0
        self._enough_written = max(PICTURE_AFTER, 8 * len(painted))
        self._enough_worked = min(max(REPLAYED, SHARE * (monotonic() - began)), LONGEST_REPLAY)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _fact(self, name: str, value: object) -> str:
        """Return what was written under the name; the first time, write it."""
        self._file.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, str(value)))
        return str(self._file.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()[0])

    def _age(self, now: float) -> float:
        """Return how old the journal is; where the time of day was set back, count on from what was written last."""
        (last,) = self._file.execute(
            "SELECT max(age) FROM (SELECT age FROM turns UNION ALL SELECT value FROM facts WHERE name = 'age')"
        ).fetchone()
        age = max(0.0, now - float(self._fact("began", now)), float(last or 0.0))
        self._file.execute("UPDATE facts SET value = ? WHERE name = 'began'", (str(now - age),))
        return age

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
        except JournalFailed:
            raise
        except Exception as error:
            raise JournalFailed(
                f"the journal {self._path} fails: {str(error) or type(error).__name__}. Nothing more is acknowledged; "
                "free the disk, or remove the file to begin anew."
            ) from error
