"""What follows from a link's devices for what its ends agree on."""

from __future__ import annotations

from typing import Any

from nodes.agreement import LinkAgreement
from shared_state.config import PulseConfig


def agreement_of(pulses: PulseConfig, **written: Any) -> LinkAgreement:
    """Return the agreement on a link with these pulses: decoy states where there are several intensities.

    ``written`` are fields of ``LinkAgreement`` that somebody has stated.
    """
    implied: dict[str, Any] = {"protocol": "decoy-bb84"} if len(pulses.intensities) > 1 else {}
    return LinkAgreement(
        intensities=pulses.intensities,
        intensity_probabilities=pulses.intensity_probabilities,
        basis_probability=pulses.basis_probability,
        pulse_rate=pulses.pulse_rate,
        **(implied | written),
    )
