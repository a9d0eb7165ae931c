"""How fast keys come in, go out and cross the plane: ``python -m tests.benchmarks.bench_key_store [FOLDER]``.

The store is a file in FOLDER (default: a temporary one), so its figures are the disk's as much as the program's: the
first line is the floor, what a commit costs the disk alone. Every figure is the best of several rounds.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

from nodes.keys.held import Claim
from nodes.keys.hybrid import hybrid_block
from nodes.keys.relay import Cargo, Relay, pad_bytes, seal
from nodes.keys.secret import Secret
from nodes.keys.service import Limits
from nodes.keys.site import Pair
from nodes.keys.store import KeyStore
from nodes.keys.units import UNIT_BYTES, ReservedKey, Taken
from tests.nodes.keys.key_lab import KeyLab

UNITS_PER_MEGABIT = 1_000_000 / (8 * UNIT_BYTES)
ROUNDS = 5


def best(act: Callable[[], object], clock: Callable[[], float] = perf_counter) -> float:
    """Return the shortest time that ``act`` takes, in seconds."""
    times = []
    for _ in range(ROUNDS):
        began = clock()
        act()
        times.append(clock() - began)
    return min(times)


def report(what: str, figure: str) -> None:
    """Write one line."""
    sys.stdout.write(f"{what:<58} {figure}\n")


def measure_disk(path: Path) -> None:
    """What it costs to have 8 KiB on the disk, as a commit of one or two pages does."""
    with path.open("wb", buffering=0) as file:

        def commit() -> None:
            for _ in range(100):
                file.write(bytes(8192))
                os.fdatasync(file.fileno())

        report("floor: 8 KiB on the disk", f"{100 / best(commit):.0f} a second")


def measure_store(path: Path) -> None:
    """Deposits, hand-outs, and the slave's side of them."""
    store = KeyStore(path, os.urandom(32))
    names = iter(f"block-{number}" for number in range(10_000))

    def deposit() -> None:
        store.deposit("bob", next(names), os.urandom(UNIT_BYTES * 4000), "qkd", False)

    for clock, name in ((process_time, "CPU"), (perf_counter, "wall")):
        seconds = best(deposit, clock) / 4000
        share = 100 * seconds * UNITS_PER_MEGABIT
        report(f"deposit of 4000 units, {name}", f"{1e6 * seconds:.2f} us a unit, {share:.2f} % at 1 Mbit/s")
    for count, calls in ((1, 400), (10, 100), (128, 10)):
        for _ in range(2 + ROUNDS * calls * count // 4000):
            deposit()
        seconds = best(lambda c=count, n=calls: [store.take("bob", 32, c) for _ in range(n)])  # type: ignore[misc]
        rate = calls / seconds
        report(
            f"hand-outs of {count}, each on the disk",
            f"{rate:.0f} a second, {rate * count:.0f} keys a second",
        )
        deposit()
        began = process_time()
        for _ in range(20):
            store.take("bob", 32, count)
        report(f"hand-outs of {count}, CPU", f"{1e6 * (process_time() - began) / 20:.0f} us")
    claim = Claim("bob", "master", ("slave",), 0.0)
    taken = store.take("bob", 32, ROUNDS * 300)
    store.restore("bob", taken)
    keys = iter([ReservedKey(f"key-{number}", key.units) for number, key in enumerate(taken)])
    waiting = iter([f"key-{number}" for number in range(len(taken))])
    seconds = best(lambda: [store.reserve([next(keys)], 32, claim, 10**6) for _ in range(300)]) / 300
    report("reservations of 1 by the peer, each on the disk", f"{1 / seconds:.0f} a second")
    seconds = best(lambda: [store.release([next(waiting)], "master", "slave", 1.0) for _ in range(300)]) / 300
    report("collections of 1 by the slave, each on the disk", f"{1 / seconds:.0f} a second")
    store.close()


def measure_cryptography() -> None:
    """What hybrid key and relay cost per unit and per hop."""
    block = os.urandom(UNIT_BYTES * 4000)
    seconds = best(lambda: hybrid_block(block, Secret(bytes(32)), bytes(32)), process_time) / 4000
    share = 100 * seconds * UNITS_PER_MEGABIT
    report("hybrid of QKD and ML-KEM", f"{1e6 * seconds:.2f} us a unit, {share:.2f} % at 1 Mbit/s")
    for size in (32, 32_768):
        pad = os.urandom(pad_bytes(size))
        bare = Relay("request", ("a", "b"), Cargo(block="block"), False, (), b"")
        seconds = best(
            lambda s=size, p=pad, b=bare: [  # type: ignore[misc]
                seal(b, Secret(bytes(s)), Taken((), Secret(p), False)) for _ in range(100)
            ]
        )
        report(f"one-time pad and tag of {size} bytes", f"{1e4 * seconds:.1f} us")


async def measure_managers() -> None:
    """A key from request to collection, with both stores in memory and the plane a function call."""
    limits = Limits(max_key_per_request=128)
    lab = KeyLab({"a": ["b"], "b": ["c"], "c": ["d"]}, limits=limits)
    for near, far in (("a", "b"), ("b", "c"), ("c", "d")):
        lab.share(near, far, 40_000)
    for target, name in (("b", "one link"), ("d", "two trusted nodes")):
        for number in (1, 128):
            began = perf_counter()
            for _ in range(20):
                keys = await lab.managers["a"].get_key("a-app", [f"{target}-app"], number)
                await lab.collect(target, "a", keys)
            seconds = (perf_counter() - began) / 20
            report(f"keys over {name}, {number} at a time, in memory", f"{number / seconds:.0f} a second")
    lab.close()
    exchanges = KeyLab({"a": ["b"]}, pairs={("a", "b"): Pair("pqc", low_water=2560)})
    began = perf_counter()
    await exchanges.managers["a"].refill()
    report("exchange by ML-KEM-768 and ML-DSA-65, 256 units", f"{1e3 * (perf_counter() - began) / 10:.1f} ms")
    exchanges.close()


def main() -> None:
    """Measure everything."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        measure_disk(Path(folder) / "floor")
        measure_store(Path(folder) / "keys.db")
    measure_cryptography()
    asyncio.run(measure_managers())


if __name__ == "__main__":
    main()
