"""Privacy amplification: a shorter key of which Eve knows nothing.

::

    Alice                                            Bob
      |--- 1 Hashing: the key's length, and the seed ->|  only when nothing more will be revealed of the key
      |        of a matrix, in parts                   |
      |<-- 2 Hashed -----------------------------------|  so that Alice knows that Bob has the key
      both multiply their key by the matrix

The length is that of M. Tomamichel, C. C. W. Lim, N. Gisin and R. Renner, Nat. Commun. 3 (2012) 634
(arXiv:1103.4130), with the smoothing and hashing terms separate as in M. Tomamichel and A. Leverrier, Quantum
1 (2017) 14 (arXiv:1506.08458), for single photons and basis-independent detection.

The matrix is drawn anew for each key, from n - 1 bits of Alice's coin that all the world may hear: the leftover hash
lemma asks for no secrecy of the seed, but for a seed that is uniform and of which nothing that Eve has done to the
photons depends. A short seed that both stretched with a hash function would save sending it, and make the key's secrecy
an assumption about that function; one seed for several keys would be known before the photons of the later ones fly.

Both ends compute how long the key may be, from the same counts and in floating point, where the logarithms of two
machines may differ in the last place: a length that lies there at a whole number would come out one bit apart, and
matrices of different lengths make quite different keys of equal ones. So Alice tells hers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from math import floor, log2
from typing import Final

import numpy as np

from nodes.errors import ProtocolViolation
from nodes.ports import Bits, Coin, Peer
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.toeplitz import seed_length, toeplitz_hash

PART: Final = 2**21
"""Bits of a seed in one message: a quarter of a mebibyte."""
ROUNDING: Final = 1
"""By so many bits two machines may find different lengths."""


@dataclass(frozen=True, slots=True)
class Hashing:
    """The ``length`` of the secret key, and some bits of the seed, packed.

    Sent only when nothing more will be revealed of the key.
    """

    length: int
    seed: bytes


@dataclass(frozen=True, slots=True)
class Hashed:
    """Bob holds the secret key. Sent after all of the seed has come; the last message of a run."""


def secret_length(size: int, qber_upper: float, leaked: int, failure: float) -> int:
    """Return how many secret bits ``size`` corrected ones hold; 0 when there are none.

    l = floor(n [1 - h(Q)] - leaked - 2 log2(1 / (2 eps))), where ``qber_upper`` Q bounds the phase error rate
    of the n bits, ``leaked`` counts all that was said about them (parities and verification tag), and
    ``failure`` eps is the distance of the hashed key from a uniform one that Eve knows nothing of.
    """
    hidden = size * (1.0 - binary_entropy(min(qber_upper, 0.5)))
    return max(0, floor(hidden - leaked - 2 * log2(1 / (2 * failure))))


async def amplify_as_alice(key: Bits, length: int, bob: Peer, coin: Coin) -> Bits:
    """Draw the matrix and tell Bob; return the secret key of ``length`` bits."""
    seed = coin.bits(seed_length(key.size, length))
    for part in _parts(seed.size):
        await bob.send(Hashing(length, packed(seed[part])))
    secret = await asyncio.to_thread(toeplitz_hash, key, seed, length)
    await bob.receive(Hashed)
    return secret


async def amplify_as_bob(key: Bits, length: int, alice: Peer) -> Bits:
    """Hash with Alice's matrix; return the secret key of ``length`` bits, or as many as Alice has found.

    Raises ``ProtocolViolation`` when that is more than the ``ROUNDING`` away from what Bob has found.
    """
    seed, told = np.empty(seed_length(key.size, length), dtype=np.uint8), length
    for part in _parts(seed.size):
        hashing = await alice.receive(Hashing)
        seed[part] = unpacked(hashing.seed, part.stop - part.start)
        near = abs(hashing.length - length) <= ROUNDING
        if part.start == 0 and near and seed_length(key.size, hashing.length) == seed.size:
            told = hashing.length
        if hashing.length != told:
            raise ProtocolViolation(
                f"{alice.name} makes a key of {hashing.length} bits, and {length} are secret"
            )
    secret = await asyncio.to_thread(toeplitz_hash, key, seed, told)
    await alice.send(Hashed())
    return secret


def _parts(size: int) -> Iterator[slice]:
    """Divide a seed among messages; where nothing is to be chosen there is none."""
    for start in range(0, size, PART):
        yield slice(start, min(start + PART, size))
