"""Which values the numbers of a lab's devices can have: checked when a device is described, not when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import inf
from typing import Any, Final, NamedTuple


class Range(NamedTuple):
    """The numbers from ``low`` to ``high``; ``said`` completes "must be ..."."""

    said: str
    low: float
    high: float
    low_allowed: bool = True
    high_allowed: bool = True

    def holds(self, value: float) -> bool:
        """Tell whether the value lies within; what is not a number does not."""
        above = value >= self.low if self.low_allowed else value > self.low
        return above and (value <= self.high if self.high_allowed else value < self.high)


FRACTION: Final = Range("from 0 to 1", 0.0, 1.0)
HALF: Final = Range("from 0 to 0.5", 0.0, 0.5)
POSITIVE: Final = Range("more than 0, and finite", 0.0, inf, False, False)
NOT_NEGATIVE: Final = Range("0 or more, and finite", 0.0, inf, True, False)
LASTING: Final = Range("more than 0; infinity is ideal", 0.0, inf, False)

RANGES: Final[Mapping[str, Range]] = {
    **dict.fromkeys(
        (
            "fidelity", "alpha", "initialisation_fidelity", "single_fidelity", "two_fidelity", "readout_error_0",
            "readout_error_1", "emission", "visibility", "dark_count_probability", "double_excitation",
            "pair_probability", "efficiency", "afterpulse_probability", "intensity_probabilities",
            "basis_probability", "misalignment", "fraction", "blocking", "bell_success",
        ),
        FRACTION,
    ),
    **dict.fromkeys(("rate", "attempt_rate", "pulse_rate", "velocity", "scale", "patience"), POSITIVE),
    **dict.fromkeys(
        (
            "count", "single_duration", "two_duration", "readout_duration", "initialisation_duration", "length",
            "attenuation_db_per_km", "insertion_loss_db", "phase_deviation", "midpoint", "dead_time", "intensities",
            "position", "lease", "events_kept",
        ),
        NOT_NEGATIVE,
    ),
    **dict.fromkeys(("t1", "t2", "depolarising_time", "cutoff"), LASTING),
    "attempt_dephasing": HALF,
}  # fmt: skip
"""By the name of the field, which means the same wherever it occurs."""


class InRange:
    """A dataclass whose numbers are checked when it is made. ValueError names field, value and what is allowed."""

    __slots__ = ()

    def __post_init__(self) -> None:
        device: Any = self
        for field in fields(device):
            allowed, value = RANGES.get(field.name), getattr(self, field.name)
            if allowed is None or value is None:
                continue
            for number in value if isinstance(value, tuple) else (value,):
                require(
                    allowed.holds(number),
                    f"{type(self).__name__}.{field.name} is {value!r}, and must be {allowed.said}.",
                )


def require(condition: bool, message: str) -> None:
    """Raise ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)
