"""Processes that take keys as fast as they can, and the one that kills them: ``python -m ... STORE ROUNDS``.

In every round two takers begin, one at each end of the pool, and are killed with SIGKILL after they have told of so
many keys as a hash of the round says. All that they told goes to the standard output: 4 bytes of the unit's index, 32
of key. A program of its own because what starts processes should be small: they import it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from contextlib import suppress
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from nodes.keys.store import KeyStore

KEK = bytes(range(32))
RECORD_BYTES = 36
_SERVER = get_context("forkserver")


def take_for_ever(path: str, newest: bool, told: Connection) -> None:
    """Take one key and five keys in turn. A key is told after ``take`` has returned, in one piece or not at all."""
    store = KeyStore(Path(path), KEK)
    while True:
        for count in (1, 5):
            for taken in store.take("bob", 32, count, newest=newest):
                (unit,) = taken.units
                told.send_bytes(unit.index.to_bytes(4, "big") + taken.secret.reveal())


def one_round(path: str, number: int) -> list[bytes]:
    """Let two takers run, kill both, and return all that they told."""
    ends, takers = [], []
    for newest in (False, True):
        reading, writing = _SERVER.Pipe(duplex=False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):  # one that is far ahead waits: SQLite's lock is not fair
            fcntl.fcntl(writing.fileno(), fcntl.F_SETPIPE_SZ, 4096)
        taker = _SERVER.Process(target=take_for_ever, args=(path, newest, writing))
        taker.start()
        writing.close()
        ends.append(reading)
        takers.append(taker)
    moments = sha256(bytes([number])).digest()
    told = [
        end.recv_bytes() for end, moment in zip(ends, moments, strict=False) for _ in range(1 + moment % 40)
    ]
    for taker in takers:
        if taker.pid is not None:
            os.kill(taker.pid, signal.SIGKILL)
    for taker, end in zip(takers, ends, strict=True):
        taker.join()
        if taker.exitcode != -signal.SIGKILL:
            raise SystemExit(f"a taker ended by itself, with {taker.exitcode}")
        with suppress(EOFError):
            while True:
                told.append(end.recv_bytes())
        end.close()
    return told


def main() -> None:
    """Go through the rounds."""
    path, rounds = sys.argv[1:]
    _SERVER.set_forkserver_preload(["nodes.keys.store"])
    for number in range(int(rounds)):
        sys.stdout.buffer.write(b"".join(one_round(path, number)))


if __name__ == "__main__":
    main()
