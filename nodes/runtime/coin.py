"""Random numbers of one node: the operating system's, or a named stream of the lab's seed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nodes.ports import Bits


class ByteCoin:
    """A ``nodes.ports.Coin`` over a source of random bytes, so that keys are as unpredictable as that source."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes

    def bits(self, count: int, probability: float = 0.5) -> Bits:
        """Toss ``count`` coins that show 1 with ``probability``."""
        if probability == 0.5:
            packed = np.frombuffer(self._random_bytes((count + 7) // 8), dtype=np.uint8)
            return np.unpackbits(packed, count=count)
        return (self._uniforms(count) < probability).astype(np.uint8)

    def integers(self, high: int, count: int) -> NDArray[np.int64]:
        """Draw ``count`` integers uniformly from 0 .. high-1 (bias below high / 2^53)."""
        return np.floor(self._uniforms(count) * high).astype(np.int64)

    def choose(self, population: int, count: int) -> NDArray[np.int64]:
        """Draw ``count`` different integers from 0 .. population-1, sorted."""
        return np.sort(self.permutation(population)[:count])

    def permutation(self, population: int) -> NDArray[np.int64]:
        """Shuffle 0 .. population-1."""
        words = np.frombuffer(self._random_bytes(8 * population), dtype=np.uint64)
        return np.argsort(words, kind="stable").astype(np.int64)

    def uniform(self) -> float:
        """Draw a number uniformly from [0, 1)."""
        return float(self._uniforms(1)[0])

    def secret(self, length: int) -> bytes:
        """Draw ``length`` random bytes."""
        return self._random_bytes(length)

    def unique(self, length: int) -> bytes:
        """Draw ``length`` bytes from the operating system, whatever the seed."""
        return os.urandom(length)

    def _uniforms(self, count: int) -> NDArray[np.float64]:
        words = np.frombuffer(self._random_bytes(8 * count), dtype=np.uint64)
        return np.asarray((words >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def make_coin(seed: int | None, *stream: str) -> ByteCoin:
    """Make the coin of a named stream.

    Without a seed its bytes come from the operating system. With one the stream is a pure function of
    (seed, names), so that a node that joins does not change another's dice; keys made with it are reproducible,
    hence not secret.
    """
    if seed is None:
        return ByteCoin(os.urandom)
    digest = hashlib.sha256("\0".join(stream).encode()).digest()
    key = tuple(np.frombuffer(digest, dtype=np.uint32).tolist())
    return ByteCoin(np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key)).bytes)
