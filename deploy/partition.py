"""A partition of a lab: groups of nodes that cannot reach each other, by messages, by light, or by either."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from deploy.errors import NotFound, UsageError
from deploy.wording import one_of, quoted, unknown

Planes: TypeAlias = Literal["classical", "quantum", "both"]
PLANES: Final[tuple[str, ...]] = get_args(Planes)


@dataclass(frozen=True, slots=True)
class Partition:
    """``groups`` without a node in common. Who is in none of them keeps all connections."""

    groups: tuple[frozenset[str], ...]
    planes: Planes

    def severed(self, node: str) -> tuple[str, ...]:
        """Return the nodes that messages of ``node`` do not reach, by name."""
        mine = self._group(node)
        if self.planes == "quantum" or mine is None:
            return ()
        return tuple(sorted(other for group in self.groups if group is not mine for other in group))

    def cuts(self, endpoints: tuple[str, str]) -> bool:
        """Tell whether no light passes between two nodes."""
        return self.planes != "classical" and self.parts(endpoints)

    def parts(self, endpoints: tuple[str, str]) -> bool:
        """Tell whether two nodes are in different groups."""
        first, second = map(self._group, endpoints)
        return None not in (first, second) and first is not second

    def _group(self, node: str) -> frozenset[str] | None:
        return next((group for group in self.groups if node in group), None)


WHOLE: Final = Partition((), "both")
"""A lab that is not partitioned."""


def divide(groups: Sequence[Collection[str]], planes: str, nodes: Collection[str]) -> Partition:
    """Partition a lab of ``nodes``; a single group is parted from all others.

    Raise ``NotFound`` for a node that is not there, ``UsageError`` where these are no groups.
    """
    if planes not in PLANES:
        raise UsageError(unknown("plane", planes, PLANES))
    for name in (name for group in groups for name in group):
        if name not in nodes:
            raise NotFound(unknown("node", name, nodes))
    parts = [frozenset(group) for group in groups]
    if len(parts) == 1:
        parts.append(frozenset(nodes) - parts[0])
    if len(parts) < 2 or not all(parts):
        raise UsageError("a partition takes at least two groups with a node in each, such as north '|' dc")
    for name in nodes:
        if sum(name in part for part in parts) > 1:
            raise UsageError(f"node {quoted(name)} cannot be on both sides; {one_of(['it in one group'])}")
    return Partition(tuple(parts), "both" if planes == "both" else _plane(planes))


def _plane(planes: str) -> Planes:
    return "classical" if planes == "classical" else "quantum"
