"""Trials of two parties, counted: how often which outcomes came together, setting by setting."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

import numpy as np

from nodes.estimation.estimates import Floats

Counts = Floats
"""Shape (2, 2): element [a, b] says how often the first party saw a and the second b; 0 is +1 and 1 is -1."""

SettingT = TypeVar("SettingT", bound=Hashable)


def tally(
    settings: Iterable[SettingT], trials: Iterable[tuple[SettingT, int, int]]
) -> dict[SettingT, Counts]:
    """Count the trials (setting, first outcome, second outcome); a setting that never came up has zeros.

    Raises ``KeyError`` for a trial in none of the ``settings``.
    """
    counts = {setting: np.zeros((2, 2)) for setting in settings}
    for setting, first, second in trials:
        counts[setting][first, second] += 1
    return counts
