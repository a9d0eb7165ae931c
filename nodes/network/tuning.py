"""Rate for fidelity: which bright-state populations the single-click links of a way should have.

A single-click source with bright-state population alpha makes pairs at a rate proportional to alpha, of a fidelity of
1 - alpha at best; dark counts spoil those of the smallest alpha (P. C. Humphreys et al., Nature 558, 268, 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import log10
from typing import Final

import numpy as np

from nodes.network.prediction import LinkFigures, NodeFigures, chain_fidelity, chain_rate
from nodes.network.request import Way

SMALLEST: Final = 1e-4
LARGEST: Final = 0.5
"""Between these a bright-state population is chosen."""
_GRID: Final = 60
_STEPS: Final = 24
_LINKS_OF: Final = tuple(float(1 - lost) for lost in np.logspace(log10(0.75), -5, 31))
"""Fidelities of links that are tried on the way to the best one for a chain: from that of I/4 to all but perfect."""
_GOLDEN: Final = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a link gives with a bright-state population: pairs per second, and their fidelity when both ends know."""

    rate: float
    fidelity: float


Better = Callable[[str, float], float]
"""From a link's name and its fidelity to what purification makes of this."""
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
    better: Better = lambda link, fidelity: fidelity,
) -> Way | None:
    """Return the way with the populations that make it fastest among those of ``min_fidelity``; None if there are none.

    ``links`` and ``nodes`` are those of the way, ``tunes`` the links by name whose population can be chosen; all of
    these get the same fidelity, as far as they can. ``better``: what purification makes of a link's fidelity.

    Better links are rarer, and what waits for them decays, so the way is best with links that are neither the best nor
    the fastest. What is searched is the least fidelity of links with which it comes up to ``min_fidelity``.
    """
    judged = _judge(way, links, nodes, tunes, better)
    low = _LINKS_OF[0]
    for high in _LINKS_OF:
        best = judged(high)
        if best.fidelity >= min_fidelity:
            break
        low = high
    else:
        best, high = _best(judged)
        low = max([wanted for wanted in _LINKS_OF if wanted < high], default=high)
    if best.fidelity < min_fidelity:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        candidate = judged(middle)
        if candidate.fidelity >= min_fidelity:
            best, high = candidate, middle
        else:
            low = middle
    return best


def finest(
    way: Way,
    links: Sequence[LinkFigures],
    nodes: Sequence[NodeFigures],
    tunes: Mapping[str, Tune],
    better: Better = lambda link, fidelity: fidelity,
) -> Way:
    """Return the way with the populations that give it the highest fidelity it can have; arguments as of ``tuned``."""
    best, _ = _best(_judge(way, links, nodes, tunes, better))
    return best


def _judge(
    way: Way,
    links: Sequence[LinkFigures],
    nodes: Sequence[NodeFigures],
    tunes: Mapping[str, Tune],
    better: Better,
) -> Callable[[float], Way]:
    """Return what makes the way of links that have a fidelity, as far as they can."""
    cached = {link.name: cache(tunes[link.name]) for link in links if link.name in tunes}

    def judged(wanted: float) -> Way:
        chosen: list[LinkFigures] = []
        alphas: list[float | None] = []
        for link in links:
            tune = cached.get(link.name)
            alpha = None if tune is None else best_alpha(tune, wanted)
            figures = Tuned(link.rate, link.fidelity) if tune is None or alpha is None else tune(alpha)
            alphas.append(alpha)
            chosen.append(replace(link, rate=figures.rate, fidelity=better(link.name, figures.fidelity)))
        fidelity = chain_fidelity(chosen, nodes)
        return replace(way, rate=chain_rate(chosen), fidelity=fidelity, alphas=tuple(alphas))

    return cache(judged) if cached else cache(lambda wanted: judged(1.0))


def _best(judged: Callable[[float], Way]) -> tuple[Way, float]:
    """Return the way of the highest fidelity, and that of its links, by golden sections about the best one tried."""
    index = max(range(len(_LINKS_OF)), key=lambda index: judged(_LINKS_OF[index]).fidelity)
    low, high = _LINKS_OF[max(0, index - 1)], _LINKS_OF[min(index + 1, len(_LINKS_OF) - 1)]
    for _ in range(_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if judged(left).fidelity < judged(right).fidelity:
            low = left
        else:
            high = right
    wanted = max((low, high, _LINKS_OF[index]), key=lambda wanted: judged(wanted).fidelity)
    return judged(wanted), wanted
