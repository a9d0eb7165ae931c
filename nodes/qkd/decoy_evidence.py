"""What the counts of a block of decoy-state BB84 say of its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nodes.errors import KeyRefused
from nodes.qkd.block import SiftedBlock, Worth
from nodes.qkd.decoy import DecoySource, Tallies, secret_length
from nodes.qkd.estimation import QBER_LIMIT
from nodes.qkd.filling import Counted
from nodes.qkd.security import Security


@dataclass(frozen=True, slots=True)
class DecoyEvidence:
    """The ``tallies`` of a block from a ``source``, for a key of the ``security`` agreed on."""

    tallies: Tallies
    source: DecoySource
    security: Security

    @property
    def qber(self) -> float:
        """Return the error rate of the check basis, all intensities together."""
        return sum(self.tallies.check_errors) / max(1, self.checked)

    @property
    def checked(self) -> int:
        """Return how many bits of the check basis were compared."""
        return round(sum(self.tallies.check_detections))

    def refuse(self) -> None:
        """Raise ``KeyRefused`` when nothing was checked, or so many check bits differ that no key is secret."""
        if not self.checked:
            raise KeyRefused(
                "no photon came through that both ends took in the check basis: nothing is known of an eavesdropper; "
                "send more pulses, or choose the key basis less often"
            )
        if self.qber >= QBER_LIMIT:
            raise KeyRefused(
                f"{self.qber:.1%} of the check bits differ and no key is secret from {QBER_LIMIT:.0%} on: someone "
                "measures the photons, or the link is misaligned"
            )

    def worth(self, leaked: int, key_errors: Sequence[int]) -> Worth:
        """Bound the secret key by the detections and errors of each intensity."""
        tallies = replace(self.tallies, key_errors=tuple(key_errors))
        bound = secret_length(tallies, self.source, leaked, self.security)
        return Worth(bound.length, bound.phase_error, bound.single)


def sifted_block(counted: Counted, source: DecoySource, security: Security) -> SiftedBlock:
    """Return a block with what it was counted for."""
    evidence = DecoyEvidence(counted.tallies, source, security)
    levels, sifted = len(source.intensities), len(counted.key) + evidence.checked
    return SiftedBlock(counted.key, counted.classes, levels, counted.pulses, sifted, evidence)
