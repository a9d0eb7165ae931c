"""Loops over long trains, compiled by numba (the extra ``compiled``).

Importing this module takes a second, and the first time on a machine some more, until numba has compiled and stored it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from shared_state.world import recovery

see: Final = njit(
    "void(uint32[::1], int64, int64, int64[::1], int64[::1], uint32[::1], int32[::1], int64[::1])",
    cache=True,
    nogil=True,
)(recovery.see)
"""``recovery.see``, some hundred times faster."""


# what was read from the wire cannot be written to
_READ_ONLY: Final = types.Array(types.uint32, 1, "C", readonly=True)


@njit(types.void(_READ_ONLY, _READ_ONLY, types.int64[::1]), cache=True, nogil=True)
def rank(values: NDArray[np.uint32], asked: NDArray[np.uint32], found: NDArray[np.int64]) -> None:
    """Write to ``found`` what ``positions.ranks`` returns."""
    below = 0
    for number in range(len(asked)):
        while below < len(values) and values[below] < asked[number]:
            below += 1
        found[number] = below
