"""The flake budget: with what probability a run of tests fails by chance though all that it states is true.

Each statistical assertion declares its own; together they are at most the sum, however they depend on each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class FlakeBudget:
    """The false-alarm probabilities that the assertions of a run have declared. ``limit``: what is allowed in all."""

    limit: float | None = None
    declared: list[float] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Return the false-alarm probability of the whole run, at most."""
        return sum(self.declared)

    @property
    def overdrawn(self) -> bool:
        """Tell whether it is more than is allowed."""
        return self.limit is not None and self.total > self.limit * (1 + 1e-12)

    def __str__(self) -> str:
        """Write the sum as it stands below a run of tests."""
        count = len(self.declared)
        assertions = "1 statistical assertion" if count == 1 else f"{count} statistical assertions"
        said = f"flake budget: {assertions}, false-alarm probability {self.total:.1e} in all"
        return f"{said}, more than the {self.limit:.1e} allowed" if self.overdrawn else said
