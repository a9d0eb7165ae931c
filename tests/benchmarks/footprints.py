"""What a process takes up, as Linux counts it: memory by who shares it, open descriptors, and who descends from whom.

Pages that processes share (a fork's, a library's) count in full in the resident set (RSS) of each, in equal parts in
the proportional set (PSS), and not at all in what is a process's own (USS). So the PSS of all processes of a lab add
up to what the lab takes, and the USS of one is what its end would give back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Footprint:
    """The memory of one process, or the mean over several, in bytes."""

    pss: float
    uss: float
    rss: float


def footprint(pid: int) -> Footprint:
    """Measure a process. Raise ``OSError`` for one that has ended or is not this user's."""
    kilobytes: dict[str, int] = {}
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, count = line.split()[:2]
        kilobytes[name.rstrip(":")] = int(count)
    own = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return Footprint(kilobytes["Pss"] * 1024, own * 1024, kilobytes["Rss"] * 1024)


def mean(footprints: Iterable[Footprint]) -> Footprint:
    """Return the mean of several, at least one."""
    all_of_them = list(footprints)
    return Footprint(
        fmean(each.pss for each in all_of_them),
        fmean(each.uss for each in all_of_them),
        fmean(each.rss for each in all_of_them),
    )


def descriptors(pid: int) -> int:
    """Count the open descriptors of a process. Raises as ``footprint`` does."""
    return sum(1 for _ in (_PROC / str(pid) / "fd").iterdir())


def parent(pid: int) -> int:
    """Return the process whose child this one is. Raises as ``footprint`` does."""
    return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])


def descendants(pid: int) -> list[int]:
    """List the children of a process, theirs, and so on; those that have ended and wait to be reaped, too."""
    children = defaultdict[int, list[int]](list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                children[parent(int(entry.name))].append(int(entry.name))
            except OSError:  # it has ended meanwhile
                continue
    found, unexplored = list[int](), [pid]
    while unexplored:
        born = children[unexplored.pop()]
        found += born
        unexplored += born
    return sorted(found)
