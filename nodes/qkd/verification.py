"""Verification: do both parties hold the same key?

::

    Alice                                                   Bob
      |--- 1 Check: random points and seed, her key's hash -->|  only after error correction
      |<-- 2 Verdict: is his key's hash the same? ------------|

The key is taken as a polynomial over the integers modulo 2^130 - 5 and evaluated at a random point: Poly1305 (D. J.
Bernstein, FSE 2005) without its pad. Two different keys of L bytes have the same value for a share of at most
8 ceil(L/16) / 2^106 of the points, 2^-80 for the longest. The 128 bits of the value are then hashed to a tag of t bits
with a random Toeplitz matrix: different values have the same tag with 2^-t. The two may fail one or the other, so
different keys pass with the sum of both (D. R. Stinson, Des. Codes Cryptogr. 4 (1994) 369), since points and seed are
drawn when the keys are final. The seed is as short as the value, however long the key; the t bits of the tag are public
and count as leaked, and of the value itself nothing else is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.poly1305 import Poly1305

from nodes.errors import KeyRefused
from nodes.ports import Bits, Coin, Peer
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.toeplitz import seed_length, toeplitz_hash

LONGEST_KEY: Final = 2**30
"""Bits: 8 ceil(L/16) is 2^26 then, and different keys have a point in common with 2^-80."""
POINT_BYTES: Final = 16
_COMMON: Final = Fraction(8 * (LONGEST_KEY // 8 // 16), 2**106)


@dataclass(frozen=True, slots=True)
class Check:
    """The points, the seed of a Toeplitz matrix, packed, and Alice's tag, packed. Sent only when the keys are final."""

    points: bytes
    seed: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the tag of Bob's key is the one in ``Check``."""

    equal: bool


def tag_length(failure: float) -> int:
    """Return the tag's length t in bits: the most that log2(2 / ``failure``) allows, which is what a key is charged.

    So 2^-t is less than ``failure``, and the points leave the rest.
    """
    length = 0
    while 2 ** (length + 1) * Fraction(failure) <= 2:
        length += 1
    return length


async def verify_as_alice(key: Bits, failure: float, bob: Peer, coin: Coin) -> None:
    """Let Bob compare the keys. Raises ``KeyRefused`` when they differ, ``ValueError`` for a key of over 2^30 bits."""
    points = coin.secret(POINT_BYTES * _point_count(failure))
    seed = coin.bits(_seed_length(failure))
    await bob.send(Check(points, packed(seed), packed(_tag(key, points, seed, failure))))
    _require((await bob.receive(Verdict)).equal)


async def verify_as_bob(key: Bits, failure: float, alice: Peer) -> None:
    """Compare the keys. Raises ``KeyRefused`` when they differ, ``ValueError`` for a key of over 2^30 bits."""
    check = await alice.receive(Check)
    unpacked(check.points, 8 * POINT_BYTES * _point_count(failure))  # so many they must be
    seed = unpacked(check.seed, _seed_length(failure))
    equal = np.array_equal(_tag(key, check.points, seed, failure), unpacked(check.tag, tag_length(failure)))
    await alice.send(Verdict(equal))
    _require(equal)


def _tag(key: Bits, points: bytes, seed: Bits, failure: float) -> Bits:
    if key.size > LONGEST_KEY:
        raise ValueError(f"a key of {key.size} bits is longer than the {LONGEST_KEY} that can be verified")
    coefficients, no_pad = packed(key), bytes(16)
    values = [
        Poly1305.generate_tag(points[start : start + POINT_BYTES] + no_pad, coefficients)
        for start in range(0, len(points), POINT_BYTES)
    ]
    return toeplitz_hash(np.unpackbits(np.frombuffer(b"".join(values), np.uint8)), seed, tag_length(failure))


def _point_count(failure: float) -> int:
    """Return at how many points the keys are evaluated: all are common with what the tag leaves of ``failure``."""
    count, left = 1, Fraction(failure) - Fraction(1, 2 ** tag_length(failure))
    while _COMMON**count > left:
        count += 1
    return count


def _seed_length(failure: float) -> int:
    return seed_length(8 * 16 * _point_count(failure), tag_length(failure))


def _require(equal: bool) -> None:
    if not equal:
        raise KeyRefused("the keys still differ after error correction; run again for a new key")
