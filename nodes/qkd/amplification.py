"""Privacy amplification: a shorter key of which Eve knows nothing.

::

    Alice                                            Bob
      |--- 1 Hashing: the seed of a Toeplitz matrix ->|  only when nothing more will be revealed of the key
      |<-- 2 Hashed ----------------------------------|  so that Alice knows that Bob has the key
      both multiply their key by the matrix

The length is that of M. Tomamichel, C. C. W. Lim, N. Gisin and R. Renner, Nat. Commun. 3 (2012) 634
(arXiv:1103.4130), with the smoothing and hashing terms separate as in M. Tomamichel and A. Leverrier, Quantum
1 (2017) 14 (arXiv:1506.08458), for single photons and basis-independent detection.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log2

from nodes.ports import Bits, Coin, Peer
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.toeplitz import seed_length, toeplitz_hash


@dataclass(frozen=True, slots=True)
class Hashing:
    """The seed of the matrix, packed. Sent only when nothing more will be revealed of the key."""

    seed: bytes


@dataclass(frozen=True, slots=True)
class Hashed:
    """Bob holds the secret key. Sent after ``Hashing``; the last message of a run."""


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
    await bob.send(Hashing(packed(seed)))
    secret = toeplitz_hash(key, seed, length)
    await bob.receive(Hashed)
    return secret


async def amplify_as_bob(key: Bits, length: int, alice: Peer) -> Bits:
    """Hash with Alice's matrix; return the secret key of ``length`` bits."""
    hashing = await alice.receive(Hashing)
    secret = toeplitz_hash(key, unpacked(hashing.seed, seed_length(key.size, length)), length)
    await alice.send(Hashed())
    return secret
