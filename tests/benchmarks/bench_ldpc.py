"""What LDPC error correction leaks and how fast it decodes, by error rate and length of the key.

    python -m tests.benchmarks.bench_ldpc [--numpy]

For every row, keys are corrected by both roles in memory: the efficiency f is what is charged over n h(Q), with Q
the fraction of wrong bits; frames count the attempts at decoding, Mbit/s the sifted bits that one core decodes in a
second, attempts that failed included, and what both roles together take for everything. The figures are this
machine's; of some keys the fastest counts, since the others were disturbed.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from nodes.ports import Bits
from nodes.qkd import ldpc, ldpc_decoding, ldpc_frames
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.ldpc_codes import Code
from nodes.runtime.coin import make_coin
from nodes.runtime.mailboxes import mailboxes

QBERS = (0.002, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.08, 0.11)
SIZES = {1_000_000: 4, 100_000: 10, 10_000: 10, 2_000: 10}
"""Bits of a key, and how many keys are corrected."""


@dataclass
class Attempts:
    """Every attempt at decoding: found or not, bits, seconds."""

    made: list[tuple[bool, int, float]] = field(default_factory=list)

    def find_errors(self, syndrome: Bits, code: Code, qber: float, size: int) -> Bits | None:
        """Time ``ldpc_decoding.find_errors``."""
        began = perf_counter()
        errors = ldpc_decoding.find_errors(syndrome, code, qber, size)
        self.made.append((errors is not None, size, perf_counter() - began))
        return errors


@dataclass(frozen=True)
class Corrected:
    """One key: whether both ends are equal, f, attempts that succeeded and failed, bits a second."""

    equal: bool
    efficiency: float
    found: int
    failed: int
    decoded_hz: float
    overall_hz: float


async def corrected(size: int, qber: float, seed: int, attempts: Attempts) -> Corrected:
    """Correct one key."""
    rng = np.random.default_rng(seed)
    alice_key = rng.integers(0, 2, size, dtype=np.uint8)
    bob_key = alice_key ^ (rng.random(size) < qber).astype(np.uint8)
    bob, alice = mailboxes()
    attempts.made.clear()
    began = perf_counter()
    _, his = await asyncio.gather(
        ldpc.answer(alice_key, qber, bob, make_coin(seed, "alice")),
        ldpc.correct(bob_key, qber, alice, make_coin(seed, "bob")),
    )
    seconds = perf_counter() - began
    found = [size for succeeded, size, _ in attempts.made if succeeded]
    limit = size * binary_entropy(max(1, int(np.count_nonzero(alice_key != bob_key))) / size)
    return Corrected(
        equal=np.array_equal(his.key, alice_key),
        efficiency=his.leaked / limit,
        found=len(found),
        failed=len(attempts.made) - len(found),
        decoded_hz=sum(found) / max(1e-9, sum(spent for *_, spent in attempts.made)),
        overall_hz=size / seconds,
    )


def main(compiled: bool) -> None:
    """Print the table."""
    attempts = Attempts()
    ldpc_frames.find_errors = attempts.find_errors  # type: ignore[attr-defined]
    if not compiled:
        ldpc_decoding.compiled = lambda: None  # type: ignore[assignment]
    ldpc_decoding.compiled()
    sys.stdout.write(f"{'bits':>9} {'QBER':>7} {'f':>6} {'equal':>7} {'found':>5} {'failed':>6} ")
    sys.stdout.write(f"{'decode':>7} {'overall':>7} Mbit/s\n")
    for size, keys in SIZES.items():
        for qber in QBERS:
            asyncio.run(corrected(size, qber, keys, attempts))  # makes the code
            rows = [asyncio.run(corrected(size, qber, seed, attempts)) for seed in range(keys)]
            sys.stdout.write(
                f"{size:9d} {qber:7.2%} {np.mean([row.efficiency for row in rows]):6.3f} "
                f"{sum(row.equal for row in rows):3d}/{keys:<3d} "
                f"{sum(row.found for row in rows):5d} {sum(row.failed for row in rows):6d} "
                f"{max(row.decoded_hz for row in rows) / 1e6:7.2f} {max(row.overall_hz for row in rows) / 1e6:7.2f}\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main("--numpy" not in sys.argv)
