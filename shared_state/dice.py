"""Nature's dice: one independent stream of random numbers per device and course of time, all from one seed."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Final

import numpy as np
from randomgen import AESCounter

REMEMBERED: Final = 2**14
"""So many streams are kept; the one that has not been asked for longest goes first."""
FORGOTTEN: Final = 2**17
"""Of so many streams that went it is known that they did, so that none of them begins again with the same numbers."""

_Key = tuple[int, ...]


class Dice:
    """Named streams. The same seed, name and story give the same stream, whatever else is drawn and in which order.

    ``seed`` None takes the entropy from the operating system; ``secret`` says so of a seed that was taken from there
    before: then each stream is AES-128 in counter mode under a key of its own, so that not even all that it has shown
    tells what comes next. Seeded streams are PCG64: whoever knows the seed knows them anyway. A stream that was
    forgotten, because so many others were asked for meanwhile, goes on with numbers that it has not given yet.
    """

    def __init__(self, seed: int | None, *, secret: bool = False) -> None:
        self._entropy = np.random.SeedSequence(seed).entropy
        self._secret = secret or seed is None
        self._streams: dict[_Key, np.random.Generator] = {}
        self._forgotten: Counter[_Key] = Counter()

    def stream(self, name: str, story: str = "") -> np.random.Generator:
        """Return the stream of a device, for example ``node/alice`` or ``link/alice-bob/source``.

        ``story`` is what shares one course of time (``LabClock.story``): what happens in one must not tell another how
        often a device has been used elsewhere. Who draws more than once asks each time anew.
        """
        key = (_number(name), _number(story)) if story else (_number(name),)
        stream = self._streams.pop(key, None) or self._begin(key)
        self._streams[key] = stream  # in the order in which they were last asked for
        if len(self._streams) > REMEMBERED:
            self._forget(next(iter(self._streams)))
        return stream

    def _begin(self, key: _Key) -> np.random.Generator:
        times = self._forgotten.get(key, 0)
        spawn_key = (*key, times) if times else key
        if self._secret:
            digest = sha256(repr((self._entropy, spawn_key)).encode()).digest()
            return np.random.Generator(AESCounter(key=int.from_bytes(digest[:16], "big")))
        return np.random.default_rng(np.random.SeedSequence(self._entropy, spawn_key=spawn_key))

    def _forget(self, key: _Key) -> None:
        del self._streams[key]
        times = self._forgotten.pop(key, 0)
        self._forgotten[key] = times + 1
        if len(self._forgotten) > FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]


def _number(name: str) -> int:
    # Python's own hash of a string differs from process to process
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big")
