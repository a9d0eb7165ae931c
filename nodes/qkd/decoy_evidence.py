"""What decoy states say of a block's key: the tallies of its pulses, and the bound that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nodes.qkd.block import Worth
from nodes.qkd.decoy import secret_length
from nodes.qkd.estimation import refuse_rates
from nodes.qkd.security import Security
from nodes.qkd.tallies import DecoySource, Tallies


@dataclass(frozen=True, slots=True)
class DecoyEvidence:
    """What was counted of a block of pulses from ``source``, before the errors of its key are known."""

    source: DecoySource
    tallies: Tallies
    security: Security

    @property
    def qber(self) -> float:
        """Return the error rate of the check bits, which the key can be expected to have."""
        return sum(self.tallies.check_errors) / max(1, self.checked)

    @property
    def checked(self) -> int:
        """Return how many check bits were revealed."""
        return int(sum(self.tallies.check_detections))

    def refuse(self) -> None:
        """Raise ``KeyRefused`` where so many bits differ that no pulses, of single photons either, leave a key."""
        refuse_rates(self.qber, self.qber)

    def worth(self, leaked: int, key_errors: Sequence[int]) -> Worth:
        """Bound the secret key by the single photons that the decoys reveal (``nodes.qkd.decoy``)."""
        tallies = replace(self.tallies, key_errors=tuple(key_errors))
        bound = secret_length(tallies, self.source, leaked, self.security)
        return Worth(bound.length, bound.phase_error, bound.single)
