"""Quantities as people write them, "20 km" or "25 %", and their values in the program's units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, pi
from typing import Final

from deploy.errors import ValueInvalid
from deploy.wording import quoted

_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<unit>.*)", re.ASCII
)


@dataclass(frozen=True, slots=True, eq=False)
class Dimension:
    """A kind of quantity: its ``name`` with an article, an ``example``, the unit people expect, all factors.

    A dimension that knows the unit "" takes bare numbers, too.
    """

    name: str
    example: str
    customary: str
    factors: Mapping[str, float]

    def parse(self, text: str) -> float:
        """Return the value of ``text``, never negative, in the unit whose factor is 1.

        Raise ``ValueInvalid`` when there is no number, no unit, another unit, or a value that is negative
        or not finite.
        """
        match = _QUANTITY.fullmatch(text.strip())
        if match is None:
            raise ValueInvalid(f"{quoted(text)} is not {self.name}", self.example)
        number, unit = match["number"], match["unit"]
        if unit not in self.factors:
            what = f"{quoted(unit)} is not a unit of {self.name}" if unit else f"{quoted(text)} has no unit"
            raise ValueInvalid(what, self._spelling(number, unit))
        value = float(number) * self.factors[unit]
        if value < 0.0 or not isfinite(value):
            raise ValueInvalid(
                f"{quoted(text)} is {'negative' if value < 0.0 else 'too large'}", self.example
            )
        return value

    def _spelling(self, number: str, written: str) -> str:
        """Show ``number`` with the unit that ``written`` seems to mean, and name all units there are."""
        same = (unit for unit in self.factors if unit and unit.lower() == written.lower())
        bare = "" in self.factors and float(number) <= 1.0
        meant = "" if bare else next(same, self.customary)
        shown = number.lstrip("+-") if len(number) < 20 else "1"
        named = [unit for unit in self.factors if unit and unit.isascii()]
        return f"{shown} {meant}".rstrip() + (f" (units: {', '.join(named)})" if len(named) > 1 else "")


LENGTH: Final = Dimension("a length", "20 km", "km", {"m": 1.0, "km": 1e3})
"""Metres."""
# The micro sign and the Greek letter mu are two characters that look alike; both are taken.
TIME: Final = Dimension(
    "a time",
    "300 ms",
    "ms",
    {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0},
)
"""Seconds."""
ANGLE: Final = Dimension("an angle", "0.35 rad", "rad", {"rad": 1.0, "deg": pi / 180})
"""Radians."""
FREQUENCY: Final = Dimension("a frequency", "10 kHz", "kHz", {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9})
"""Hertz: events per second."""
ATTENUATION: Final = Dimension("an attenuation", "0.2 dB/km", "dB/km", {"dB/km": 1.0})
"""Decibels per kilometre, the unit in which everyone states it."""
LOSS: Final = Dimension("a loss", "1.5 dB", "dB", {"dB": 1.0})
"""Decibels: a transmission T is a loss of -10 log10 T."""
VELOCITY: Final = Dimension("a velocity", "200000 km/s", "km/s", {"m/s": 1.0, "km/s": 1e3})
"""Metres per second."""
FRACTION: Final = Dimension("a fraction", "0.25 or 25 %", "%", {"": 1.0, "%": 1e-2})
"""Dimensionless: 0.25 and "25 %" are the same. Its range is for the key to check."""
