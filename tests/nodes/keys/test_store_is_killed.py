"""Two processes take from one store and are killed, 50 times: keys may be lost, but none is ever given twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nodes.keys.store import KeyStore
from nodes.keys.units import UNIT_BYTES
from tests.nodes.keys.key_lab import key_of_units
from tests.nodes.keys.key_taker import KEK, RECORD_BYTES

UNITS = 10_000
ROUNDS = 25
ROOT = Path(__file__).parents[3]


@pytest.mark.processes
@pytest.mark.thorough
def test_no_key_is_given_twice_or_remains_after_fifty_kills(tmp_path: Path) -> None:
    path, key = tmp_path / "keys.db", key_of_units(UNITS)
    store = KeyStore(path, KEK)
    store.deposit("bob", "block", key, "qkd", False)
    store.close()
    killer = [sys.executable, "-m", "tests.nodes.keys.key_taker", str(path), str(ROUNDS)]
    told = subprocess.run(killer, cwd=ROOT, stdout=subprocess.PIPE, timeout=110, check=True).stdout
    records = [told[start : start + RECORD_BYTES] for start in range(0, len(told), RECORD_BYTES)]
    given = {int.from_bytes(record[:4], "big"): record[4:] for record in records}
    assert len(given) == len(records) > 2 * ROUNDS
    store = KeyStore(path, KEK)  # checks the file
    left = store.level("bob").units
    remaining = {one.units[0].index: one.secret.reveal() for one in store.take("bob", UNIT_BYTES, left)}
    store.close()
    assert not remaining.keys() & given.keys()
    assert len(remaining) == left <= UNITS - len(given)
    for index, octets in (given | remaining).items():
        assert octets == key[UNIT_BYTES * index : UNIT_BYTES * (index + 1)]
