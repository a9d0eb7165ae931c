"""Cascade: Bob corrects his key to Alice's by asking for parities of her blocks.

G. Brassard and L. Salvail, "Secret-key reconciliation by public discussion", Eurocrypt '93, LNCS 765,
410-423, in the form that J. Martinez-Mateo, C. Pacher, M. Peev, A. Ciurana and V. Martin, "Demystifying the
information reconciliation protocol Cascade", Quantum Inf. Comput. 15 (2015) 453-477, find best: block sizes
that are powers of two, fourteen passes, and every parity ever learnt is used again ("sub-block reuse")::

    Alice                                        Bob
      |<-- 1 Shuffle: seed of the passes' orders -|  only after all photons are measured
      |<-- 2 Questions: ranges of shuffled bits --|
      |--- 3 Parities ---------------------------->|  2 and 3 repeat; Bob halves blocks of odd parity and
      |<-- 2 Questions, none: Bob is done ---------|  flips the bits that are left

Alice is an oracle of parities: she needs to know nothing of Bob's progress, and both ends count the parities
that she has given. A round with very many questions asks them in portions, all of them before the first answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.errors import ProtocolViolation
from nodes.ports import Bits, Coin, Peer
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.cascade_passes import PASSES, Range, orders, shuffled_parities
from nodes.qkd.cascade_search import Search

MOST_RANGES = 65_536
"""The most questions in one message: they fill three quarters of a mebibyte."""

SEED_BYTES = 16
_WORD = np.dtype("<u4")


@dataclass(frozen=True, slots=True)
class Shuffle:
    """The seed of the order in which each pass takes the bits. Sent only after all photons are measured."""

    seed: bytes


@dataclass(frozen=True, slots=True)
class Questions:
    """Ranges [start, end) of the key in the order of a pass: three arrays of little-endian 32-bit integers.

    No range at all says that Bob has finished.
    """

    passes: bytes
    starts: bytes
    ends: bytes


@dataclass(frozen=True, slots=True)
class Parities:
    """The parities of Alice's bits in the ranges asked for, one packed bit a range."""

    parities: bytes


class Reconciled(NamedTuple):
    """A corrected key and the number of parities that all the world has heard."""

    key: Bits
    parities: int

    def __repr__(self) -> str:
        return f"<{self.key.size} bits, equal to the peer's after {self.parities} parities>"


async def answer(key: Bits, bob: Peer) -> Reconciled:
    """Tell Bob the parities he asks for; return Alice's key, unchanged."""
    shuffle = await bob.receive(Shuffle)
    parities = shuffled_parities(key, orders(shuffle.seed, key.size))
    told = 0
    while asked := _ranges(await bob.receive(Questions), key.size):
        answers = [parities[pass_][start] ^ parities[pass_][end] for pass_, start, end in asked]
        await bob.send(Parities(packed(np.array(answers, dtype=np.uint8))))
        told += len(asked)
    return Reconciled(key, told)


async def correct(key: Bits, qber: float, alice: Peer, coin: Coin) -> Reconciled:
    """Correct Bob's key, in which about a fraction ``qber`` of the bits is wrong; return it."""
    seed = coin.secret(SEED_BYTES)
    await alice.send(Shuffle(seed))
    search = Search(key, qber, orders(seed, key.size))
    told = 0
    while asked := search.questions():
        search.learn(await _parities(asked, alice))
        told += len(asked)
    await alice.send(_questions([]))
    return Reconciled(search.key, told)


def leakage(parities: int, size: int) -> int:
    """Return how many bits the dialogue reveals of a key of ``size``: parities + ceil(log2(size + 1)).

    The number of parities is not agreed beforehand: it depends on the keys, so it tells something of them, and
    the secret key's length follows it. It is one of n + 1 numbers, since more than n parities leave no key.
    That it is l, which happens with probability p_l, costs log2(1/p_l) bits of min-entropy, so with log2(n+1)
    bits charged the hashed key is then eps / sqrt(p_l (n+1)) from uniform; on average over l that is
    eps sum_l sqrt(p_l / (n+1)) <= eps.

    Bob's questions show where the errors are. That is not charged: it says nothing of Alice's bits as long as
    the errors do not depend on them, which is assumed.
    """
    return parities + ceil(log2(size + 1))


async def _parities(asked: list[Range], alice: Peer) -> Bits:
    """Ask Alice in portions; return her answers, one for each range."""
    portions = [asked[start : start + MOST_RANGES] for start in range(0, len(asked), MOST_RANGES)]
    for portion in portions:
        await alice.send(_questions(portion))
    replies = [unpacked((await alice.receive(Parities)).parities, len(portion)) for portion in portions]
    return np.concatenate(replies)


def _questions(asked: list[Range]) -> Questions:
    columns = np.array(asked, dtype=_WORD).reshape(-1, 3)
    return Questions(*(columns[:, column].tobytes() for column in range(3)))


def _ranges(questions: Questions, size: int) -> list[Range]:
    columns = [_integers(column) for column in (questions.passes, questions.starts, questions.ends)]
    passes, starts, ends = columns
    if not passes.size == starts.size == ends.size:
        raise ProtocolViolation(
            "the peer asked for parities of ranges whose passes, starts and ends do not match"
        )
    if np.any(passes >= PASSES) or np.any(starts >= ends) or np.any(ends > size):
        raise ProtocolViolation(
            f"the peer asked for the parity of a range that a key of {size} bits does not have"
        )
    return list(map(Range, *(column.tolist() for column in columns)))


def _integers(column: bytes) -> NDArray[np.uint32]:
    if len(column) % _WORD.itemsize:
        raise ProtocolViolation("the peer sent a list of 32-bit integers that ends in the middle of one")
    return np.frombuffer(column, dtype=_WORD)
