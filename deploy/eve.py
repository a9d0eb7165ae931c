"""What a lab that is up tells of an eavesdropper."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Eve:
    """An eavesdropper now, ``at`` so many metres from the first endpoint of its link.

    ``report``: pulses that came by, photons kept, pulses sent on in place of what was measured.
    """

    name: str
    link: str
    strategy: str
    fraction: float
    at: float
    enabled: bool
    report: dict[str, int]
