"""One-way error correction with rate-adaptive low-density parity-check codes: Alice tells syndromes, Bob decodes.

D. Elkouss, A. Leverrier, R. Alleaume and J. J. Boutros, arXiv:0901.2140, with codes of their own (``ldpc_codes``)
whose rate is adapted while the key is corrected, as in blind reconciliation (J. Martinez-Mateo, D. Elkouss and V.
Martin, Quantum Inf. Comput. 12 (2012) 791; E. O. Kiktenko et al., Phys. Rev. Applied 8 (2017) 044017): a frame that
cannot be decoded gets more parities, never a new code::

    Alice                                                 Bob
      |--- 1 Interleaver: seed of the order of the bits ---->|  only after all photons are measured
      |--- 2 Syndrome of each frame ------------------------>|
      |<-- 3 Wishes: further rows for each frame, or all ----|
      |--- 2 Syndrome of those rows, or all bits ----------->|  2 and 3 repeat
      |<-- 3 Wishes, none: Bob is done ----------------------|

Two messages and one answer when the error rate is what both expect. A long syndrome goes in several messages. A key
for which parities are worth no more than bits is told bit by bit, and Bob wishes nothing.

Bob returns a wrong key when a frame decodes to other errors with the same syndrome: rare, and left to verification.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodes.errors import ProtocolViolation
from nodes.ports import Bits, Coin, Peer
from nodes.qkd.bits import packed, unpacked
from nodes.qkd.ldpc_codes import Code
from nodes.qkd.ldpc_frames import Frame, SoughtFrame, ToldFrame
from nodes.qkd.ldpc_layout import Layout, lay_out, order, pieces
from nodes.qkd.reconciliation import Reconciled

MOST_BITS: Final = 2**21
"""The most bits in one message: they fill a quarter of a mebibyte."""

SEED_BYTES: Final = 16
_WISH = np.dtype("<u2")


@dataclass(frozen=True, slots=True)
class Interleaver:
    """The seed of the order in which frames take the bits. Sent only after all photons are measured."""

    seed: bytes


@dataclass(frozen=True, slots=True)
class Syndrome:
    """Packed parities of Alice's frames, one frame after the other, or bits of hers; as many as Bob wished."""

    bits: bytes


@dataclass(frozen=True, slots=True)
class Wishes:
    """How many more rows Bob needs of each frame's code: little-endian 16-bit integers, 65535 for all its bits.

    No wish at all says that Bob has finished.
    """

    rows: bytes


async def answer(key: Bits, qber: float, bob: Peer, coin: Coin) -> Reconciled:
    """Tell Bob the parities he needs; return Alice's key, unchanged."""
    seed = coin.secret(SEED_BYTES)
    await bob.send(Interleaver(seed))
    layout, places = await asyncio.to_thread(_prepared, key.size, qber, seed)
    shuffled = key[places]
    if layout.code is None:
        await _tell(shuffled, bob)
        return Reconciled(key, leakage(key.size, key.size))
    frames = [ToldFrame(bits, layout.code) for bits in pieces(shuffled, layout.sizes)]
    await _tell(await asyncio.to_thread(_syndromes, frames), bob)
    while any(wishes := _rows(await bob.receive(Wishes), len(frames))):
        await _tell(await asyncio.to_thread(_answers, frames, wishes), bob)
    return Reconciled(key, _leakage(frames, key.size))


async def correct(key: Bits, qber: float, alice: Peer, coin: Coin) -> Reconciled:
    """Correct Bob's key, in which about a fraction ``qber`` of the bits is wrong; return it. Alice tosses all coins."""
    interleaver = await alice.receive(Interleaver)
    layout, places = await asyncio.to_thread(_prepared, key.size, qber, interleaver.seed)
    corrected = np.empty_like(key)
    if layout.code is None:
        corrected[places] = await _heard(key.size, alice)
        return Reconciled(corrected, leakage(key.size, key.size))
    sizes = [layout.code.checks] * len(layout.sizes)
    heard = pieces(await _heard(sum(sizes), alice), sizes)
    frames = await asyncio.to_thread(_sought, layout.code, pieces(key[places], layout.sizes), heard)
    while any(wishes := await asyncio.to_thread(_wishes, frames, qber)):
        await alice.send(Wishes(np.array(wishes, dtype=_WISH).tobytes()))
        sizes = [frame.answer_size(wish) for frame, wish in zip(frames, wishes, strict=True)]
        answers = pieces(await _heard(sum(sizes), alice), sizes)
        await asyncio.to_thread(_learn, frames, wishes, answers)
    await alice.send(Wishes(bytes(_WISH.itemsize * len(frames))))
    corrected[places] = np.concatenate([frame.bits for frame in frames])
    return Reconciled(corrected, _leakage(frames, key.size))


def leakage(told: int, size: int) -> int:
    """Return how many bits the dialogue reveals of a key of ``size``: told + ceil(log2(size + 1)), at most all.

    How much is told is not agreed beforehand: it depends on the keys, and the secret key's length follows it. The
    second term charges for that as ``cascade.leakage`` does. Which frames had wishes is not charged: Bob decodes the
    syndrome of the errors, not Alice's bits, and so his wishes say nothing of her bits as long as the errors do not
    depend on them, which is assumed (arXiv:2307.00576 treats such dialogues).
    """
    return min(size, told + ceil(log2(size + 1)))


def _leakage(frames: Sequence[Frame], size: int) -> int:
    return leakage(sum(frame.leaked for frame in frames), size)


def _prepared(size: int, qber: float, seed: bytes) -> tuple[Layout, NDArray[np.int64]]:
    """Return the layout, and which bit of the key comes where in the frames."""
    return lay_out(size, qber), order(seed, size)


def _syndromes(frames: list[ToldFrame]) -> Bits:
    return np.concatenate([frame.syndrome for frame in frames])


def _answers(frames: list[ToldFrame], wishes: list[int]) -> Bits:
    return np.concatenate([frame.answer(wish) for frame, wish in zip(frames, wishes, strict=True) if wish])


def _sought(code: Code, parts: list[Bits], heard: list[Bits]) -> list[SoughtFrame]:
    return [SoughtFrame(bits, code, syndrome) for bits, syndrome in zip(parts, heard, strict=True)]


def _wishes(frames: list[SoughtFrame], qber: float) -> list[int]:
    return [frame.wish(qber) for frame in frames]


def _learn(frames: list[SoughtFrame], wishes: list[int], answers: list[Bits]) -> None:
    for frame, wish, told in zip(frames, wishes, answers, strict=True):
        frame.learn(wish, told)


def _rows(wishes: Wishes, frames: int) -> list[int]:
    if len(wishes.rows) != _WISH.itemsize * frames:
        raise ProtocolViolation(f"the peer wished {len(wishes.rows)} bytes for {frames} frames")
    rows: list[int] = np.frombuffer(wishes.rows, dtype=_WISH).tolist()
    return rows


async def _tell(bits: Bits, bob: Peer) -> None:
    """Send bits, in portions when they are many."""
    for start in range(0, bits.size, MOST_BITS):
        await bob.send(Syndrome(packed(bits[start : start + MOST_BITS])))


async def _heard(count: int, alice: Peer) -> Bits:
    """Receive so many bits."""
    portions = [min(MOST_BITS, count - start) for start in range(0, count, MOST_BITS)]
    received = [unpacked((await alice.receive(Syndrome)).bits, portion) for portion in portions]
    return np.concatenate([np.empty(0, dtype=np.uint8), *received])
