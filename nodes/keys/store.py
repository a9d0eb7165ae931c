"""The key store of one node: key shared with other nodes, delivered exactly once.

    deposit ──> units of a pool ──take──>   the master's key, cut at this end of the pool
                      │
                      └─redeem, reserve──>  the same key at the peer ──hold──> waits for the slave ──release──> gone

What is handed out is deleted, and the deletion is on the disk, before the call returns: whoever is killed in between
loses a key and never uses one twice. Two takers, be they threads or processes, never get the same unit.
Clause 6 of ETSI GS QKD 014 V1.1.1 asks for it: keys that were delivered are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nodes.keys.errors import UnitsUnknown
from nodes.keys.held import Claim, HeldKeys
from nodes.keys.stock import Stock, key_of
from nodes.keys.store_schema import Database
from nodes.keys.units import Block, Held, Origin, PoolLevel, Refusal, ReservedKey, Taken, Unit, units_for


class KeyStore:
    """One SQLite file (``path`` None: in memory), its keys wrapped under ``key_encryption_key`` (32 bytes).

    Raises ``StoreForeign``, ``WrongWrappingKey``, ``StoreCorrupted`` for a file that it cannot work with; every method
    raises ``StoreUnusable`` when the file cannot be read or written, and has then changed nothing.
    """

    def __init__(self, path: Path | None, key_encryption_key: bytes) -> None:
        self._database = Database(path, key_encryption_key)
        self._stock = Stock(key_encryption_key)
        self._held = HeldKeys(key_encryption_key)

    @property
    def revision(self) -> int:
        """Count the rows that were changed here: what has not changed need not be read again."""
        return self._database.changes

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def scrub(self) -> None:
        """Empty the write-ahead log, in which deleted units are still found, wrapped.

        A disk may keep what was overwritten; only destroying the key-encryption key is certain.
        """
        self._database.truncate_log()

    def deposit(
        self, pool: str, block: str, key: bytes, origin: Origin, reproducible: bool, *, ready: bool = True
    ) -> int:
        """Store a block of key, cut into units, and return their number; what is left over at its end is dropped.

        Units of a block that is not ``ready`` can be redeemed by the peer, but not taken here before ``confirm``.
        Raises ``BlockRepeated`` when the pool has or had a block of this name.
        """
        facts = Block(pool, block, origin, reproducible, 0, 0, ready)
        with self._database.transaction() as cursor:
            return self._stock.insert(cursor, facts, key)

    def confirm(self, pool: str, block: str) -> bool:
        """Let the units of a block be taken: the peer has it, too. False when there is no such block."""
        with self._database.transaction() as cursor:
            cursor.execute("UPDATE blocks SET ready=1 WHERE pool=? AND block=?", (pool, block))
            return cursor.rowcount > 0

    def discard(self, pool: str, block: str) -> int:
        """Delete what is left of a block, count it, and keep its name from coming again."""
        with self._database.transaction() as cursor:
            return self._stock.delete(cursor, pool, block)

    def transform(self, old: Block, into: str, origin: Origin, change: Callable[[bytes], bytes]) -> int:
        """Replace an untouched block by a block ``into``, not ready, of what ``change`` makes of its bytes.

        ``change`` brings in fresh secrets: the new block is not reproducible. All of it, or nothing. Raises
        ``UnitsUnknown`` when units of the block are missing, ``BlockRepeated``.
        """
        new = Block(old.pool, into, origin, False, 0, 0, ready=False)
        with self._database.transaction() as cursor:
            return self._stock.transform(cursor, old, new, change)

    def take(
        self, pool: str, size: int, count: int = 1, *, newest: bool = False, reproducible_too: bool = True
    ) -> list[Taken]:
        """Cut ``count`` keys of ``size`` bytes from the oldest units of a pool, or its newest ones.

        The two ends of a pool take from different ends of it and so do not meet before it is nearly empty. Raises
        ``KeysExhausted``, or ``Reproducible`` when units made with the lab's seed would be needed and are not wanted.
        """
        each = units_for(size)
        with self._database.transaction() as cursor:
            pieces = self._stock.draw(cursor, pool, each * count, newest, reproducible_too)
        return [key_of(pieces[start : start + each], size) for start in range(0, each * count, each)]

    def restore(self, pool: str, taken: Sequence[Taken]) -> None:
        """Put back keys of which nothing has left this node: neither the key nor anything enciphered with it.

        It is the peer, which deletes a unit before it says that it has it, that keeps them from being used twice.
        """
        with self._database.transaction() as cursor:
            for key in taken:
                self._stock.put_back(cursor, pool, key)

    def redeem(self, pool: str, units: Sequence[Unit], size: int) -> Taken:
        """Cut the key of ``size`` bytes that the peer has cut from exactly these units.

        Raises ``UnitsUnknown`` when one of them is not here; the others stay.
        """
        with self._database.transaction() as cursor:
            found, unknown = self._stock.remove(cursor, pool, units)
            if len(found) != len(units):
                raise UnitsUnknown(pool, len(units) - len(found), unknown)
        return key_of([found[unit] for unit in units], size)

    def reserve(
        self, keys: Sequence[ReservedKey], size: int, claim: Claim, capacity: int
    ) -> dict[str, Refusal]:
        """Redeem keys of ``size`` bytes from the pool of the claim and hold each for its slaves; tell which cannot be.

        The same reservation again changes nothing and has the same answer. What is left of the units of a key that is
        refused as spent or unknown is deleted: its other half is, too.
        """
        refused: dict[str, Refusal] = {}
        with self._database.transaction() as cursor:
            for key in keys:
                if self._held.knows(cursor, key.key_id):
                    continue
                if not self._held.has_room(cursor, len(claim.slave_saes), capacity):
                    refused[key.key_id] = Refusal.FULL
                    continue
                found, unknown = self._stock.remove(cursor, claim.pool, key.units)
                if len(found) != len(key.units):
                    refused[key.key_id] = Refusal.UNKNOWN_BLOCK if unknown else Refusal.SPENT
                    continue
                cut = key_of([found[unit] for unit in key.units], size)
                self._held.add(cursor, key.key_id, cut.secret.reveal(), cut.reproducible, claim)
        return refused

    def hold(self, keys: Sequence[Held], claim: Claim, capacity: int) -> bool:
        """Let keys wait for the slaves of the claim; one that waits or has waited here is not added again.

        False, and none is added, when more than ``capacity`` would wait.
        """
        with self._database.transaction() as cursor:
            if not self._held.has_room(cursor, len(keys) * len(claim.slave_saes), capacity):
                return False
            for key in keys:
                if not self._held.knows(cursor, key.key_id):
                    self._held.add(cursor, key.key_id, key.secret.reveal(), key.reproducible, claim)
            return True

    def release(self, key_ids: Sequence[str], master_sae: str, slave_sae: str, at: float) -> list[Held]:
        """Hand the keys that wait under these ids to the slave: all of them, or none. ``at`` in seconds.

        Raises ``UnknownKeyIds`` when one never came here or is gone, ``NotEntitled`` when one waits for others only.
        """
        with self._database.transaction() as cursor:
            return self._held.release(cursor, key_ids, master_sae, slave_sae, at)

    def withdraw(self, pool: str, key_ids: Sequence[str], at: float) -> int:
        """Drop keys that the node ``pool`` had reserved here, and count them."""
        with self._database.transaction() as cursor:
            return self._held.withdraw(cursor, pool, key_ids, at)

    def expire(self, before: float, at: float) -> int:
        """Drop keys that wait since ``before`` or longer (seconds, of the claims' clock), and count them."""
        with self._database.transaction() as cursor:
            return self._held.expire(cursor, before, at)

    def find(self, pool: str, block: str) -> Block | None:
        """Tell what is left of a block; None when it was never deposited."""
        with self._database.reading() as cursor:
            return self._stock.find(cursor, pool, block)

    def unconfirmed(self) -> list[Block]:
        """List the blocks that are not ready, oldest first."""
        with self._database.reading() as cursor:
            return self._stock.unconfirmed(cursor)

    def levels(self) -> list[PoolLevel]:
        """Tell what is stored, by pool."""
        with self._database.reading() as cursor:
            return self._stock.levels(cursor)

    def level(self, pool: str) -> PoolLevel:
        """Tell what is stored in one pool."""
        return next((level for level in self.levels() if level.pool == pool), PoolLevel(pool, 0, 0, 0))
