"""Where rare things happen in a long train: positions drawn at the cost of what happens, not of the train."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def distinct(count: int, number: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw ``number`` different positions below ``count``, sorted; every set of so many is as likely.

    The first ``number`` different values of a sequence of uniform ones are such a set. Takes O(number) memory.
    """
    if number > count / 2:
        absent = np.ones(count, dtype=np.bool_)
        absent[distinct(count, count - number, rng)] = False
        return np.flatnonzero(absent)
    chosen = np.unique(rng.integers(count, size=number)) if number else np.zeros(0, dtype=np.int64)
    while len(chosen) < number:
        more = rng.integers(count, size=number - len(chosen))
        chosen = np.unique(np.concatenate([chosen, more]))
    return chosen
