"""What has leaked: what is there at the end and was not at the beginning, and what has grown all the time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from tests.benchmarks.soaking.sampling import Sample
from tests.benchmarks.soaking.slopes import Slope, slope

GROWTH: Final = 10e6
"""Bytes per hour by which a process may grow: allocators and caches come to rest slowly."""
SIGMAS: Final = 3.0
JUDGED_AFTER: Final = 600.0
"""Seconds for which a process must have been watched before its growth is judged: a shorter run is all beginning."""
SPARE_DESCRIPTORS: Final = 2
"""By so many the descriptors of a process may differ between two quiet moments: a timer, a connection that closes."""
MOST_JOURNAL: Final = 64 * 2**20
"""Bytes: a picture takes the place of the journal's entries long before."""


def growth(samples: Sequence[Sample], warm_up: float) -> dict[tuple[str, int], Slope]:
    """Fit the memory of each process, by name and pid, from ``warm_up`` seconds on after it was seen first.

    One that was killed and started again warms up as those did with which the lab began.
    """
    first: dict[tuple[str, int], float] = {}
    times, memory = (
        defaultdict[tuple[str, int], list[float]](list),
        defaultdict[tuple[str, int], list[float]](list),
    )
    for sample in samples:
        for process in sample.processes:
            key = process.name, process.pid
            if sample.at - first.setdefault(key, sample.at) >= warm_up:
                times[key].append(sample.at)
                memory[key].append(process.memory)
    fitted = {key: slope(times[key], memory[key]) for key in times}
    return {key: found for key, found in fitted.items() if found is not None}


def grown(slopes: dict[tuple[str, int], Slope]) -> list[str]:
    """Say which processes grow for certain, by too much, and all the time: a heap takes steps, a leak goes on."""
    return [
        f"process '{name}' grows by {found.per_hour / 1e6:.1f} ± {found.error / 1e6:.1f} MB an hour"
        for (name, _), found in sorted(slopes.items())
        if found.span_s >= JUDGED_AFTER
        and found.per_hour - SIGMAS * found.error > GROWTH
        and all(third > GROWTH for third in found.thirds)
    ]


def left(before: Sample, after: Sample) -> list[str]:
    """Compare two quiet moments: say what is there after that was not there before."""
    found = [
        f"{count} more processes are called '{name}'"
        for name, count in (Counter(after.names()) - Counter(before.names())).items()
    ]
    found += [f"process '{name}' is not there" for name in Counter(before.names()) - Counter(after.names())]
    had = {process.name: process.descriptors for process in before.processes}
    found += [
        f"process '{process.name}' has {process.descriptors} descriptors, and had {had[process.name]}"
        for process in after.processes
        if process.descriptors > had.get(process.name, process.descriptors) + SPARE_DESCRIPTORS
    ]
    if after.qubits:
        found.append(f"the quantum world is not empty: {after.census}")
    if after.journal > MOST_JOURNAL:
        found.append(f"the journal has {after.journal / 1e6:.0f} MB")
    return found
