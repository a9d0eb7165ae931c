"""Cascade: Alice and Bob tell each other parities of ranges of their keys until Bob has found all errors.

G. Brassard and L. Salvail, "Secret-key reconciliation by public discussion", Eurocrypt '93, LNCS 765,
410-423, in the form that J. Martinez-Mateo, C. Pacher, M. Peev, A. Ciurana and V. Martin, "Demystifying the
information reconciliation protocol Cascade", Quantum Inf. Comput. 15 (2015) 453-477, find best: frames of 2^14 bits,
block sizes that are powers of two, fourteen passes, and every parity ever learnt is used again ("sub-block reuse")::

    Alice                                        Bob
      |<-- 1 Shuffle: seed of the passes' orders -|  only after all photons are measured
      |--- 2 Parities --------------------------->|  both at the same time, of the same ranges;
      |<-- 2 Parities ----------------------------|  2 repeats until no block of any pass is odd

No question is asked: which ranges come next follows from where the parities told so far differ, and that both ends
know, so both make the same search (``cascade_search``). Nor need the end be told. A round takes a message's time one
way, all frames advance in the same rounds, and a parity costs a bit of either message.

In the published dialogue Bob asks, and his questions say where his parities differ from Alice's; here his parities
say so. What there is to know of Alice's key, the parities she has told, is the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import ceil, log2
from typing import Final

import numpy as np

from nodes.ports import Bits, Coin, Peer
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.cascade_passes import KeyParities, cut
from nodes.qkd.cascade_search import Search
from nodes.qkd.reconciliation import Reconciled

MOST_PARITIES: Final = 2**22
"""The most parities in one message: they fill half a mebibyte. More go in several, all sent before one is awaited."""

SEED_BYTES: Final = 16

_THREAD_FROM = 2_000  # parities; what fewer take is less than it costs to wake a thread


@dataclass(frozen=True, slots=True)
class Shuffle:
    """The seed of the order in which each pass takes the bits. Sent only after all photons are measured."""

    seed: bytes


@dataclass(frozen=True, slots=True)
class Parities:
    """The parities of the sender's bits, as sifted, in the ranges that are due: one packed bit a range.

    Sent by both ends, neither waiting for the other's, as soon as the parities of the round before are known.
    """

    parities: bytes


async def answer(key: Bits, qber: float, bob: Peer, coin: Coin) -> Reconciled:
    """Let Bob correct his key to ``key``, about a fraction ``qber`` of which he has wrong; return it, unchanged."""
    shuffle = await bob.receive(Shuffle)
    dialogue = await asyncio.to_thread(_Dialogue, key, qber, shuffle.seed)
    await dialogue.hold(bob)
    return Reconciled(key, leakage(dialogue.told, key.size))


async def correct(key: Bits, qber: float, alice: Peer, coin: Coin) -> Reconciled:
    """Correct Bob's key, in which about a fraction ``qber`` of the bits is wrong; return it."""
    seed = coin.secret(SEED_BYTES)
    await alice.send(Shuffle(seed))
    dialogue = await asyncio.to_thread(_Dialogue, key, qber, seed)
    await dialogue.hold(alice)
    return Reconciled(key ^ dialogue.errors(), leakage(dialogue.told, key.size))


def leakage(parities: int, size: int) -> int:
    """Return how many bits the dialogue reveals of a key of ``size``: parities + ceil(log2(size + 1)).

    The number of parities is not agreed beforehand: it depends on the keys, so it tells something of them, and
    the secret key's length follows it. It is one of n + 1 numbers, since more than n parities leave no key.
    That it is l, which happens with probability p_l, costs log2(1/p_l) bits of min-entropy, so with log2(n+1)
    bits charged the hashed key is then eps / sqrt(p_l (n+1)) from uniform; on average over l that is
    eps sum_l sqrt(p_l / (n+1)) <= eps.

    Bob's parities show where the errors are. That is not charged, which takes a reason (D. Tupkary and N. Luetkenhaus,
    arXiv:2307.00576): whether qubits of both ends differ in Z can be known without touching whether they do in X, so
    phase errors are bounded as before with all errors told. It is assumed that Bob measures a qubit, or, as with two
    detectors and a coin for the clicks of both, what amounts to one.
    """
    return parities + ceil(log2(size + 1))


class _Dialogue:
    """One end's side: its parities that are due, and what it makes of the peer's. ``told`` counts the former."""

    def __init__(self, key: Bits, qber: float, seed: bytes) -> None:
        frames = cut(key.size, qber, seed)
        self.told = 0
        self._size = key.size
        self._parities = KeyParities(key, frames)
        self._search = Search(frames)
        self._due = self._parities.of(self._search.questions())

    async def hold(self, peer: Peer) -> None:
        """Tell parities and hear the peer's until no more are due. Raises ``ProtocolViolation`` for a wrong number."""
        while self._due.size:
            theirs = await _exchanged(self._due, peer)
            if theirs.size < _THREAD_FROM:
                self._compare(theirs)
            else:
                await asyncio.to_thread(self._compare, theirs)

    def errors(self) -> Bits:
        """Return 1 for each bit that is found to be wrong at one of the ends."""
        return self._search.errors(self._size)

    def _compare(self, theirs: Bits) -> None:
        self.told += self._due.size
        self._search.learn(self._due ^ theirs)
        self._due = self._parities.of(self._search.questions())


async def _exchanged(mine: Bits, peer: Peer) -> Bits:
    """Tell the peer parities and return its own of the same ranges."""
    portions = [mine[start : start + MOST_PARITIES] for start in range(0, mine.size, MOST_PARITIES)]
    for portion in portions:
        await peer.send(Parities(packed(portion)))
    theirs = [unpacked((await peer.receive(Parities)).parities, portion.size) for portion in portions]
    return np.concatenate(theirs)
