"""A block of sifted key, as every protocol of this folder hands it over to be distilled, and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nodes.ports import Bits


@dataclass(frozen=True, slots=True)
class Worth:
    """What can be made of a block.

    ``length``: secret bits, 0 where there are none. ``phase_error``: with the failure probability agreed on, the error
    rate that the secret part would have shown in the other basis is no larger. ``single_photons``: key bits that came
    from one photon each at least, None where the source has no others.
    """

    length: int
    phase_error: float
    single_photons: float | None = None


class Evidence(Protocol):
    """What has been seen of a block, known to both ends alike: enough to bound what Eve can know of its key."""

    @property
    def qber(self) -> float:
        """Return the error rate among the bits that were revealed, which the key can be expected to have."""

    @property
    def checked(self) -> int:
        """Return how many bits were revealed."""

    def refuse(self) -> None:
        """Raise ``KeyRefused`` when no correction of errors, however good, would leave a secret key."""

    def worth(self, leaked: int, key_errors: Sequence[int]) -> Worth:
        """Bound the secret key when ``leaked`` bits were said about the sifted one in its correction.

        ``key_errors``: of each class of key bits, how many were corrected.
        """


@dataclass(frozen=True, slots=True)
class SiftedBlock:
    """Key bits, not yet equal at both ends; bit i is of the class ``classes[i]``, of which there are ``class_count``.

    Pulses of one intensity are a class; protocols with single photons have one. ``pulses`` were sent for the block, and
    ``sifted`` bits of it are left where both bases agree. ``chsh``: the value of S, where it was measured.
    """

    key: Bits = field(repr=False)
    classes: Bits = field(repr=False)
    class_count: int
    pulses: int
    sifted: int
    evidence: Evidence
    chsh: float | None = None
