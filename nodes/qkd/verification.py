"""Verification: do both parties hold the same key?

::

    Alice                                                Bob
      |--- 1 Check: a random seed and her key's hash ---->|  only after error correction
      |<-- 2 Verdict: is his key's hash the same? --------|

Different keys pass with at most 2^-t for a tag of t bits, because the seed is drawn when the keys are final
(M. N. Wegman and J. L. Carter, J. Comput. Syst. Sci. 22 (1981) 265). The t bits are public and count as
leaked.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

import numpy as np

from nodes.errors import KeyRefused
from nodes.ports import Bits, Coin, Peer
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.toeplitz import seed_length, toeplitz_hash


@dataclass(frozen=True, slots=True)
class Check:
    """The seed of a Toeplitz matrix and Alice's hash, both packed. Sent only when the keys are final."""

    seed: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the hash of Bob's key is the one in ``Check``."""

    equal: bool


def tag_length(failure: float) -> int:
    """Return the tag's length t in bits: 2^-t <= ``failure``."""
    return ceil(-log2(failure))


async def verify_as_alice(key: Bits, failure: float, bob: Peer, coin: Coin) -> None:
    """Let Bob compare the keys. Raises ``KeyRefused`` when they differ."""
    length = tag_length(failure)
    seed = coin.bits(seed_length(key.size, length))
    await bob.send(Check(packed(seed), packed(toeplitz_hash(key, seed, length))))
    _require((await bob.receive(Verdict)).equal)


async def verify_as_bob(key: Bits, failure: float, alice: Peer) -> None:
    """Compare the keys. Raises ``KeyRefused`` when they differ."""
    length = tag_length(failure)
    check = await alice.receive(Check)
    seed = unpacked(check.seed, seed_length(key.size, length))
    equal = np.array_equal(toeplitz_hash(key, seed, length), unpacked(check.tag, length))
    await alice.send(Verdict(equal))
    _require(equal)


def _require(equal: bool) -> None:
    if not equal:
        raise KeyRefused("the keys still differ after error correction; run again for a new key")
