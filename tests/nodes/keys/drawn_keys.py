"""Keys for the tests of their delivery: drawn at random, from a store that holds so many and no more."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from uuid import uuid4

from nodes.keys.errors import KeyManagementError, KeysExhausted, NotEntitled, UnknownKeyIds, UnknownSae
from nodes.keys.secret import Secret
from nodes.keys.service import DeliveredKey, KeyStatus, Limits

SAES = {"vpn-north": "north", "backup-north": "north", "vpn-dc": "dc", "vpn-campus": "campus"}


class DrawnKeys:
    """The keys of a whole network in one place: any SAE of ``saes`` gets them, with any other one.

    ``error``, when set, is raised by everything. ``asked`` are the numbers and sizes that were asked for.
    """

    def __init__(self, saes: dict[str, str] = SAES, stored: int = 1000, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.saes = saes
        self.stored = stored
        self.reproducible = False
        self.error: Exception | None = None
        self.asked: list[tuple[int, int]] = []
        self._held: dict[str, tuple[str, set[str], Secret]] = {}

    async def get_key(
        self, master_sae: str, slave_saes: Sequence[str], number: int, size: int
    ) -> list[DeliveredKey]:
        """Draw keys and hold them for the slaves."""
        self._check(master_sae, *slave_saes)
        self.asked.append((number, size))
        if number > self.stored:
            raise KeysExhausted(self.saes[slave_saes[0]], number, self.stored)
        self.stored -= number
        drawn = [
            DeliveredKey(str(uuid4()), Secret(secrets.token_bytes(size // 8)), self.reproducible)
            for _ in range(number)
        ]
        for key in drawn:
            self._held[key.key_id] = master_sae, set(slave_saes), key.secret
        return drawn

    async def get_key_with_ids(
        self, slave_sae: str, master_sae: str, key_ids: Sequence[str]
    ) -> list[DeliveredKey]:
        """Deliver what is held for the slave: all, once, or none."""
        self._check(slave_sae, master_sae)
        found = [self._held[key_id] for key_id in key_ids if key_id in self._held]
        if len(found) < len(key_ids) or any(master != master_sae for master, _, _ in found):
            raise UnknownKeyIds(key_ids)
        if any(slave_sae not in slaves for _, slaves, _ in found):
            raise NotEntitled("a key is asked for by an application that was not named when it was made")
        for key_id, (_, slaves, _) in zip(key_ids, found, strict=True):
            slaves.remove(slave_sae)
            if not slaves:
                del self._held[key_id]
        return [
            DeliveredKey(key_id, secret, self.reproducible)
            for key_id, (_, _, secret) in zip(key_ids, found, strict=True)
        ]

    def status(self, master_sae: str, slave_sae: str) -> KeyStatus:
        """Tell how many keys are left."""
        self._check(master_sae, slave_sae)
        limits = self.limits
        return KeyStatus(
            source_kme=self.saes[master_sae],
            target_kme=self.saes[slave_sae],
            master_sae=master_sae,
            slave_sae=slave_sae,
            key_size=limits.key_size,
            stored_key_count=self.stored,
            max_key_count=limits.max_key_count,
            max_key_per_request=limits.max_key_per_request,
            max_key_size=limits.max_key_size,
            min_key_size=limits.min_key_size,
            max_sae_id_count=limits.max_sae_ids,
            reproducible_key_count=self.stored if self.reproducible else 0,
        )

    def _check(self, *saes: str) -> None:
        if isinstance(self.error, KeyManagementError):
            raise self.error
        for sae in saes:
            if sae not in self.saes:
                raise UnknownSae(sae)
