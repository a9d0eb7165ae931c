"""Nature's dice: one independent stream of random numbers per device, all from one seed."""

from __future__ import annotations

from hashlib import sha256

import numpy as np


class Dice:
    """Named streams. The same seed and name give the same stream, whatever else is drawn and in which order.

    ``seed`` None takes the entropy from the operating system.
    """

    def __init__(self, seed: int | None) -> None:
        self._entropy = np.random.SeedSequence(seed).entropy
        self._streams: dict[str, np.random.Generator] = {}

    def stream(self, name: str) -> np.random.Generator:
        """Return the stream of a device, for example ``node/alice`` or ``link/alice-bob/source``."""
        if name not in self._streams:
            # Python's own hash of a string differs from process to process
            key = int.from_bytes(sha256(name.encode()).digest()[:8], "big")
            child = np.random.SeedSequence(self._entropy, spawn_key=(key,))
            self._streams[name] = np.random.default_rng(child)
        return self._streams[name]
