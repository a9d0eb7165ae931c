"""What a random sample of a block says of its key: the evidence of BB84 with single photons and even bases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodes.qkd import estimation
from nodes.qkd.block import Worth
from nodes.qkd.security import Security


@dataclass(frozen=True, slots=True)
class SampledEvidence:
    """An ``estimate`` whose bound fails with ``estimation.bound_failure`` of the ``security`` at most."""

    estimate: estimation.Estimate
    security: Security

    @property
    def qber(self) -> float:
        """Return the error rate of the sample."""
        return self.estimate.qber

    @property
    def checked(self) -> int:
        """Return the size of the sample."""
        return self.estimate.sampled

    def refuse(self) -> None:
        """Raise ``KeyRefused`` when so many bits of the sample differ that no key is secret."""
        estimation.refuse_hopeless(self.estimate)

    def worth(self, leaked: int, key_errors: Sequence[int]) -> Worth:
        """Bound the secret key by what the sample says of the errors in either basis."""
        size = int(self.estimate.key.size)
        return estimation.worth_of(size, self.estimate.qber_upper * size, leaked, self.security)
