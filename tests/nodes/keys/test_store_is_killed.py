"""Two processes take from one store and are killed, 50 times: keys may be lost, but none is ever given twice."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from nodes.keys.store import KeyStore
from nodes.keys.units import UNIT_BYTES
from tests.nodes.keys.key_lab import KEK, key_of_units
from tests.nodes.keys.key_taker import take_for_ever

UNITS = 40_000
ROUNDS = 25
_SERVER = get_context("forkserver")


def one_round(path: Path, rng: np.random.Generator) -> list[bytes]:
    """Let two takers run, kill both at a moment that chance chooses, and return all they told."""
    ends: list[Connection] = []
    takers = []
    for newest in (False, True):
        reading, writing = _SERVER.Pipe(duplex=False)
        taker = _SERVER.Process(target=take_for_ever, args=(str(path), newest, writing))
        taker.start()
        writing.close()
        ends.append(reading)
        takers.append(taker)
    told = [end.recv_bytes() for end in ends for _ in range(int(rng.integers(1, 40)))]
    for taker in takers:
        assert taker.pid is not None
        os.kill(taker.pid, signal.SIGKILL)
    for taker, end in zip(takers, ends, strict=True):
        taker.join()
        assert taker.exitcode == -signal.SIGKILL
        with suppress(EOFError):
            while True:
                told.append(end.recv_bytes())
        end.close()
    return told


@pytest.mark.processes
@pytest.mark.thorough
def test_no_key_is_given_twice_or_remains_after_fifty_kills(tmp_path: Path) -> None:
    path, key, rng = tmp_path / "keys.db", key_of_units(UNITS), np.random.default_rng(7)
    _SERVER.set_forkserver_preload(["tests.nodes.keys.key_taker"])
    store = KeyStore(path, KEK)
    store.deposit("bob", "block", key, "qkd", False)
    store.close()
    told = [message for _ in range(ROUNDS) for message in one_round(path, rng)]
    given = [int.from_bytes(message[:4], "big") for message in told]
    assert len(set(given)) == len(given) > 2 * ROUNDS
    store = KeyStore(path, KEK)  # checks the file
    left = store.level("bob").units
    remaining = {one.units[0].index: one.secret.reveal() for one in store.take("bob", UNIT_BYTES, left)}
    store.close()
    assert not remaining.keys() & set(given)
    assert len(remaining) == left <= UNITS - len(given)
    told_bytes = {int.from_bytes(message[:4], "big"): message[4:] for message in told}
    for index, octets in (told_bytes | remaining).items():
        assert octets == key[UNIT_BYTES * index : UNIT_BYTES * (index + 1)]
