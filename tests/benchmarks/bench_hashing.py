"""How fast long keys are hashed: privacy amplification and verification, in processor time of one core.

python -m tests.benchmarks.bench_hashing --million 1 3 10
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from nodes.codec import kind_of
from nodes.qkd import amplification, verification
from nodes.qkd.toeplitz import seed_length, toeplitz_hash
from nodes.runtime.coin import make_coin
from nodes.runtime.mailboxes import mailboxes

CORRECTNESS = 1e-15
REPETITIONS = 5


def best(work: Callable[[], object]) -> float:
    """Return the seconds of processor time that the work takes when the least disturbs it."""
    durations = []
    for _ in range(REPETITIONS + 1):
        began = time.process_time()
        work()
        durations.append(time.process_time() - began)
    return min(durations[1:])  # without the first: it plans the transforms


async def dialogue(size: int, secret: int) -> None:
    """Verify and amplify a key at both ends."""
    key = make_coin(1, "key").bits(size)
    bob, alice = mailboxes()

    async def as_alice() -> bytes:
        coin = make_coin(2, "alice")
        await verification.verify_as_alice(key, CORRECTNESS, bob, coin)
        return (await amplification.amplify_as_alice(key, secret, bob, coin)).tobytes()

    async def as_bob() -> bytes:
        await verification.verify_as_bob(key, CORRECTNESS, alice)
        return (await amplification.amplify_as_bob(key, secret, alice)).tobytes()

    mine, his = await asyncio.gather(as_alice(), as_bob())
    if mine != his:
        raise RuntimeError(f"the two ends hold different keys after {kind_of(amplification.Hashed())}")


def _both_ends(size: int, secret: int) -> None:
    asyncio.run(dialogue(size, secret))


def main() -> None:
    """Write a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", type=float, nargs="*", default=[0.1, 1, 3, 10], help="bits of a key")
    rng = np.random.default_rng(1)
    for million in parser.parse_args().million:
        size = round(million * 1e6)
        secret = 2 * size // 5
        key, seed = (
            rng.integers(0, 2, length, dtype=np.uint8) for length in (size, seed_length(size, secret))
        )
        hashing = best(partial(toeplitz_hash, key, seed, secret))
        both = best(partial(_both_ends, size, secret))
        sys.stdout.write(
            f"{size} bits to {secret}: hash {size / hashing / 1e6:.1f} Mbit/s; with messages, seed and verification "
            f"{size / (both / 2) / 1e6:.1f} Mbit/s an end, {3e6 / size * both / 2:.3f} core-seconds for 3 Mbit\n"
        )


if __name__ == "__main__":
    main()
