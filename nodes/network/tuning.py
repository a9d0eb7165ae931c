"""Rate for fidelity: which bright-state populations the single-click links of a way should have.

A single-click source with bright-state population alpha makes pairs at a rate proportional to alpha, of a fidelity of
1 - alpha at best; dark counts spoil those of the smallest alpha (P. C. Humphreys et al., Nature 558, 268, 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log10
from typing import Final

import numpy as np

from nodes.network.prediction import LinkFigures, NodeFigures, chain_fidelity, chain_rate
from nodes.network.request import Way

SMALLEST: Final = 1e-4
LARGEST: Final = 0.5
"""Between these a bright-state population is chosen."""
_GRID: Final = 60
_STEPS: Final = 40


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a link gives with a bright-state population: pairs per second, and their fidelity when both ends know."""

    rate: float
    fidelity: float


Tune = Callable[[float], Tuned]
"""From the bright-state population of a link's source to what the link gives."""


def best_alpha(tune: Tune, wanted: float) -> float:
    """Return the largest population that gives the fidelity ``wanted``, or the one of the highest fidelity there is."""
    grid = np.logspace(log10(SMALLEST), log10(LARGEST), _GRID)
    fidelities = [tune(float(alpha)).fidelity for alpha in grid]
    good = [index for index, fidelity in enumerate(fidelities) if fidelity >= wanted]
    if not good:
        return float(grid[int(np.argmax(fidelities))])
    low, high = float(grid[good[-1]]), float(grid[min(good[-1] + 1, _GRID - 1)])
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if tune(middle).fidelity >= wanted else (low, middle)
    return low


def tuned(
    way: Way,
    links: Sequence[LinkFigures],
    nodes: Sequence[NodeFigures],
    tunes: Mapping[str, Tune],
    min_fidelity: float,
    better: Callable[[float], float] = lambda fidelity: fidelity,
) -> Way | None:
    """Return the way with the populations that make it fastest among those of ``min_fidelity``; None if there are none.

    ``links`` and ``nodes`` are those of the way, ``tunes`` the links by name whose population can be chosen; all of these
    get the same fidelity, as far as they can. ``better``: what purification makes of a link's fidelity.
    """

    def judged(wanted: float | None) -> tuple[Way, list[LinkFigures]]:
        chosen: list[LinkFigures] = []
        alphas: list[float | None] = []
        for link in links:
            alpha = None if wanted is None or link.name not in tunes else best_alpha(tunes[link.name], wanted)
            figures = Tuned(link.rate, link.fidelity) if alpha is None else tunes[link.name](alpha)
            alphas.append(alpha)
            chosen.append(replace(link, rate=figures.rate, fidelity=better(figures.fidelity)))
        fidelity = chain_fidelity(chosen, nodes)
        return replace(way, rate=chain_rate(chosen), fidelity=fidelity, alphas=tuple(alphas)), chosen

    if not any(link.name in tunes for link in links):
        plain, _ = judged(None)
        return plain if plain.fidelity >= min_fidelity else None
    low, high = 0.25, 1.0
    best, _ = judged(high)
    if best.fidelity < min_fidelity:
        return None
    for _ in range(_STEPS // 2):
        middle = (low + high) / 2
        candidate, _ = judged(middle)
        if candidate.fidelity >= min_fidelity:
            best, high = candidate, middle
        else:
            low = middle
    return best
