"""Many comparisons with one formula in one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared_state.validation.comparison import Comparison


@dataclass(frozen=True, slots=True)
class Summary:
    """All ``comparisons`` with one formula, at least one."""

    comparisons: tuple[Comparison, ...]

    @property
    def furthest(self) -> Comparison:
        """Return the comparison that agrees least: a failed one if there is one."""
        return max(self.comparisons, key=lambda c: (not c.passed, _size(c)))

    @property
    def passed(self) -> bool:
        """Tell whether all agree."""
        return all(comparison.passed for comparison in self.comparisons)

    @property
    def distance(self) -> str:
        """Say how far the furthest is off, and how far it may be."""
        furthest = self.furthest
        if furthest.kind == "sampled":
            return f"{abs(furthest.z):.1f} sigma of {furthest.samples:,} samples"
        if furthest.kind == "bound":
            return f"{furthest.measured / furthest.reference:.3g} of the bound"
        return f"{abs(furthest.deviation):.1e} of {furthest.tolerance:.0e}"

    @property
    def parameters(self) -> str:
        """Write the parameters of the furthest."""
        return ", ".join(f"{name} = {value:.6g}" for name, value in self.furthest.parameters.items())


def _size(comparison: Comparison) -> float:
    """Return how far a comparison is off, or how near its bound."""
    if comparison.kind == "bound":
        return comparison.measured / comparison.reference
    return abs(comparison.z) if comparison.samples else abs(comparison.deviation)


def summaries(comparisons: Iterable[Comparison]) -> list[Summary]:
    """Group comparisons by section and formula, in the order in which they first come."""
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in comparisons:
        groups.setdefault((comparison.section, comparison.name), []).append(comparison)
    return [Summary(tuple(group)) for group in groups.values()]
