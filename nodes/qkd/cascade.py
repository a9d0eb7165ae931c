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

Alice is an oracle of parities: she needs to know nothing of Bob's progress, and the number of parities she
has given is the information that leaked, at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.errors import ProtocolViolation
from nodes.ports import Bits, Coin, Peer
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.cascade_passes import PASSES, Range, orders, shuffled_parities
from nodes.qkd.cascade_search import Search

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
    leaked: int


async def answer(key: Bits, bob: Peer) -> Reconciled:
    """Tell Bob the parities he asks for; return Alice's key, unchanged."""
    shuffle = await bob.receive(Shuffle)
    parities = shuffled_parities(key, orders(shuffle.seed, key.size))
    leaked = 0
    while asked := _ranges(await bob.receive(Questions), key.size):
        answers = [parities[pass_][start] ^ parities[pass_][end] for pass_, start, end in asked]
        await bob.send(Parities(packed(np.array(answers, dtype=np.uint8))))
        leaked += len(asked)
    return Reconciled(key, leaked)


async def correct(key: Bits, qber: float, alice: Peer, coin: Coin) -> Reconciled:
    """Correct Bob's key, in which about a fraction ``qber`` of the bits is wrong; return it."""
    seed = coin.secret(SEED_BYTES)
    await alice.send(Shuffle(seed))
    search = Search(key, qber, orders(seed, key.size))
    leaked = 0
    while asked := search.questions():
        await alice.send(_questions(asked))
        reply = await alice.receive(Parities)
        search.learn(unpacked(reply.parities, len(asked)))
        leaked += len(asked)
    await alice.send(_questions([]))
    return Reconciled(search.key, leaked)


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
