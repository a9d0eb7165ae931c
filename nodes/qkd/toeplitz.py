"""Hashing with random Toeplitz matrices over GF(2), a universal family: different keys collide with 2^-m at most.

M. Hayashi and T. Tsurumaru, "More efficient privacy amplification with less random seeds via dual universal hash
function", IEEE Trans. Inf. Theory 62 (2016) 2213 (arXiv:1311.5322): a key of n bits is multiplied by the m x n matrix
(T | I), T a Toeplitz matrix (H. Krawczyk, Crypto '94, LNCS 839, 129) of n - m columns beside the identity. Two keys
that differ in the first n - m bits collide for a share 2^-m of the n - 1 seed bits, and two that differ in the last m
only for none. With T alone it would take m seed bits more.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from nodes.errors import NodeError
from nodes.ports import Bits

LARGEST_ROUNDING_ERROR: Final = 0.25
PRECISIONS: Final = (np.float32, np.float64)
"""What is tried, the fastest first. Single precision holds the sums to 0.01 for keys of 3 10^7 bits."""


class PrecisionLost(NodeError):
    """A hash of a very long key could not be computed exactly; hash shorter keys."""


def seed_length(size: int, hashed: int) -> int:
    """Return how many seed bits hash ``size`` bits to ``hashed`` ones: n - 1, or 0 where nothing is left to choose."""
    return size - 1 if 0 < hashed < size else 0


def toeplitz_hash(key: Bits, seed: Bits, hashed: int) -> Bits:
    """Multiply the key of n bits by (T | I), T[i, j] = seed[i - j + n - m - 1]; return the m = ``hashed`` bits.

    T times a vector is part of a circular convolution of n - 1 points or more, by fast Fourier transforms: what wraps
    around falls on the first n - m - 1 sums, which are not used. The sums are integers, and that they are near to some
    is checked.

    Raises ``ValueError`` for a seed of the wrong length or a hash longer than the key, and ``PrecisionLost`` when a sum
    is not near an integer in double precision either.
    """
    if hashed > key.size:
        raise ValueError(
            f"{key.size} bits cannot be hashed to {hashed}: a hash is no longer than what is hashed"
        )
    if seed.size != seed_length(key.size, hashed):
        raise ValueError(f"{seed_length(key.size, hashed)} seed bits are needed, not {seed.size}")
    first, last = key[: key.size - hashed], key[key.size - hashed :]
    if not seed.size:
        return last.copy()
    for precision in PRECISIONS:
        product = _product(first, seed, precision)
        if product is not None:
            return product ^ last
    raise PrecisionLost(f"a hash of {key.size} bits lost its precision; distil shorter blocks")


def _product(vector: Bits, seed: Bits, precision: type[np.float32 | np.float64]) -> Bits | None:
    """Return T times the vector of c bits, sums c-1 to the last of the convolution; None when precision was lost.

    Seed bits count as +-1/2: the sums are smaller by half the vector's ones each, and stay near 0 as a random walk
    does, so that they are rounded less.
    """
    points, ones = _fast_length(seed.size), int(np.count_nonzero(vector))
    padded = np.zeros((2, points), dtype=precision)
    padded[0, : seed.size] = seed
    padded[0, : seed.size] -= precision(0.5)
    padded[1, : vector.size] = vector
    # normalised, numpy transforms in the precision of the array; otherwise in a higher one, which takes longer
    spectra = np.fft.rfft(padded, norm="forward")
    spectrum = spectra[0]
    spectrum *= spectra[1]
    spectrum *= precision(points) ** 2
    sums = np.fft.irfft(spectrum, points)[vector.size - 1 : seed.size]
    if ones % 2:
        sums += precision(0.5)
    nearest = np.rint(sums)
    sums -= nearest
    if max(sums.max(), -sums.min()) >= LARGEST_ROUNDING_ERROR:
        return None
    return (nearest.astype(np.int32) + ones // 2 & 1).astype(np.uint8)


def _fast_length(least: int) -> int:
    """Return the smallest even 2^a 3^b 5^c that is at least ``least``: a length whose Fourier transform is fast."""
    odd: list[int] = [3**b * 5**c for b in range(20) for c in range(14) if 3**b * 5**c <= least]
    return min(factor << max(1, (-(-least // factor) - 1).bit_length()) for factor in odd)
