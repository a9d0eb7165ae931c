"""What a section of the validation found: comparisons, and curves to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shared_state.validation.comparison import Comparison


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve of a plot: ``theory`` is drawn as a line, ``measured`` as points."""

    label: str
    kind: Literal["theory", "measured"]
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot by name; curves of equal label share a colour."""

    name: str
    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """What a section of the validation found."""

    comparisons: list[Comparison] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
