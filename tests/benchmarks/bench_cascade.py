"""Measure Cascade: efficiency and rounds beside the published ones, and bits a second of Alice and Bob together.

    python -m tests.benchmarks.bench_cascade [--bits 1000000] [--repeat 3] [--plain]

Published: J. Martinez-Mateo et al., Quantum Inf. Comput. 15 (2015) 453, table 3, for frames of 2^14 bits. Rounds are
those of the slowest of all frames, and a frame's on average. Speed is by processor time of both ends, the best of the
repeats; messages go over queues. ``--plain`` leaves out the compiled kernels.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from nodes.ports import Bits, Peer
from nodes.qkd import cascade, cascade_kernels, cascade_search
from nodes.qkd.cascade_passes import KeyParities, cut
from nodes.qkd.cascade_search import Search, fastest_kernels
from nodes.qkd.entropy import binary_entropy
from nodes.runtime.coin import make_coin

MessageT = TypeVar("MessageT")

PUBLISHED = {
    0.005: (1.0499, 169),
    0.01: (1.0422, 209),
    0.02: (1.0401, 408),
    0.03: (1.0390, 497),
    0.04: (1.0431, 500),
    0.05: (1.0431, 433),
    0.06: (1.0458, 607),
    0.07: (1.0505, 797),
    0.08: (1.0547, 550),
    0.09: (1.0549, 690),
    0.10: (1.0574, 840),
    0.11: (1.0613, 998),
}
COLUMNS = "   Q      f  published  rounds  a frame's  published  bytes/error  Mbit/s  (by the wall)\n"


@dataclass
class QueuePeer:
    """One end of a pair of queues."""

    name: str
    outbox: asyncio.Queue[object]
    inbox: asyncio.Queue[object]
    sent: list[object] = field(default_factory=list)

    async def send(self, message: object) -> None:
        self.sent.append(message)
        self.outbox.put_nowait(message)

    async def receive(self, kind: type[MessageT]) -> MessageT:
        message = await self.inbox.get()
        assert isinstance(message, kind)
        return message


class Timed(NamedTuple):
    """What one correction took: processor and wall time in seconds, bits leaked, messages and bytes told."""

    processor: float
    wall: float
    leaked: int
    rounds: int
    told: int


def keys(bits: int, qber: float) -> tuple[Bits, Bits]:
    rng = np.random.default_rng(1)
    alice = rng.integers(0, 2, bits, dtype=np.uint8)
    return alice, alice ^ (rng.random(bits) < qber).astype(np.uint8)


async def corrected(alice_key: Bits, bob_key: Bits, qber: float) -> Timed:
    """Let Alice and Bob correct a key."""
    one, two = asyncio.Queue[object](), asyncio.Queue[object]()
    bob, alice = QueuePeer("bob", one, two), QueuePeer("alice", two, one)
    coin = make_coin(0, "bench")
    ends: tuple[Peer, Peer] = (bob, alice)
    began = process_time(), perf_counter()
    his, _ = await asyncio.gather(
        cascade.correct(bob_key, qber, ends[1], coin), cascade.answer(alice_key, qber, ends[0], coin)
    )
    processor, wall = process_time() - began[0], perf_counter() - began[1]
    assert np.array_equal(his.key, alice_key), "Cascade left errors, as it does in about 1e-4 of all frames"
    lengths = [len(message.parities) for message in bob.sent if isinstance(message, cascade.Parities)]
    return Timed(processor, wall, his.leaked, len(lengths), 2 * sum(lengths))


def rounds_of_frames(errors: Bits, qber: float) -> NDArray[np.int64]:
    """Return the number of rounds in which anything is asked about each frame."""
    frames = cut(errors.size, qber, b"bench")
    parities, search = KeyParities(errors, frames), Search(frames)
    rounds = np.zeros(frames.count, dtype=np.int64)
    while (ranges := search.questions()).row.size:
        search.learn(parities.of(ranges))
        rounds += np.bincount(ranges.row % frames.count, minlength=frames.count) > 0
    return rounds


def line(qber: float, bits: int, repeat: int) -> str:
    alice, bob = keys(bits, qber)
    runs = [asyncio.run(corrected(alice, bob, qber)) for _ in range(repeat)]
    wrong = int(np.count_nonzero(alice != bob))
    efficiency = runs[0].leaked / (bits * binary_entropy(wrong / bits))
    efficiency_published, rounds_published = PUBLISHED[qber]
    processor, wall = (bits / min(getattr(run, kind) for run in runs) / 1e6 for kind in ("processor", "wall"))
    frame = float(rounds_of_frames(alice ^ bob, qber).mean())
    return (
        f"{qber:5.3f}  {efficiency:.4f}  {efficiency_published:9.4f}  {runs[0].rounds:6d}  {frame:9.0f}  "
        f"{rounds_published:9d}  {runs[0].told / wrong:11.2f}  {processor:6.2f}  {wall:6.2f}\n"
    )


def main() -> None:
    """Print a line for each row of the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bits", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--plain", action="store_true")
    wanted = parser.parse_args()
    if wanted.plain:
        vars(cascade_search)["fastest_kernels"] = lambda: cascade_kernels
    else:
        fastest_kernels()  # compiled before anything is timed
    sys.stdout.write(COLUMNS)
    for qber in PUBLISHED:
        sys.stdout.write(line(qber, wanted.bits, wanted.repeat))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
