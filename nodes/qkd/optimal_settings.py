"""The best light for a link: intensities, their probabilities and that of the key basis.

Any settings are secure; these make the longest key of a block that is expected. The search is the simplex of J. A.
Nelder and R. Mead, Comput. J. 7 (1965) 308, from fixed places, so the same question has the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log

from nodes.qkd.expected_clicks import LinkParameters, Settings
from nodes.qkd.key_rates import EFFICIENCY, expected_block
from nodes.qkd.security import Security
from nodes.qkd.tallies import DecoySource

WEAKEST = 2e-4
"""The second decoy of Lim et al. 2014: no modulator makes a pulse quite dark."""
FAINTEST = 0.01
"""Mean photon number that no signal needs to go below."""
BRIGHTEST = 1.5
"""Mean photon number that no signal exceeds: from 1 on the share of single photons falls."""
TOLERANCE = 1e-5
STEPS = 600

Point = tuple[float, ...]

# (signal, decoy/signal, probability of the signal, of the decoy among the rest, of the key basis), the fields that one
# decoy has no use for left out
TWO_DECOY_STARTS: tuple[Point, ...] = (
    (0.5, 0.3, 0.6, 0.6, 0.85),
    (0.45, 0.4, 0.3, 0.6, 0.6),
    (0.5, 0.15, 0.85, 0.5, 0.95),
    (0.5, 0.25, 0.1, 0.6, 0.4),
)
ONE_DECOY_STARTS: tuple[Point, ...] = ((0.5, 0.3, 0.7, 0.9), (0.45, 0.3, 0.4, 0.6), (0.5, 0.25, 0.9, 0.97))


def best_settings(
    link: LinkParameters,
    key_bits: float,
    decoys: int = 2,
    security: Security | None = None,
    efficiency: float = EFFICIENCY,
) -> Settings:
    """Return the settings with the highest secret key rate for blocks of ``key_bits`` sifted bits.

    Where no settings make a key they are those that fail by least. Raises ValueError for other than 1 or 2
    ``decoys``.
    """
    if decoys not in (1, 2):
        raise ValueError(f"a bound is known for 1 decoy and for 2, not for {decoys}")
    starts = ONE_DECOY_STARTS if decoys == 1 else TWO_DECOY_STARTS

    def rate(settings: Settings) -> float:
        return expected_block(link, settings, key_bits, security, efficiency).merit

    return max((climb(rate, start) for start in starts), key=rate)


def climb(rate: Callable[[Settings], float], start: Point) -> Settings:
    """Return the settings near ``start`` where ``rate`` is highest; four numbers are of one decoy, five of two."""

    def loss(place: Sequence[float]) -> float:
        return -rate(settings_at([_share(x) for x in place]))

    best = simplex(loss, [log(share / (1 - share)) for share in _shares(start)])
    return settings_at([_share(x) for x in best])


def settings_at(shares: Sequence[float]) -> Settings:
    """Return settings from numbers between 0 and 1, all combinations of which are possible."""
    mu1 = FAINTEST + BRIGHTEST * shares[0]
    if len(shares) == 4:
        _, decoy, signal, key = shares
        return Settings(DecoySource((mu1, mu1 * decoy), (signal, 1 - signal)), key)
    _, decoy, signal, weak, key = shares
    # the decoys' sum stays below the signal
    mu2 = WEAKEST + (mu1 - 2 * WEAKEST) * decoy
    rest = 1 - signal
    return Settings(DecoySource((mu1, mu2, WEAKEST), (signal, rest * weak, rest * (1 - weak))), key)


def simplex(
    loss: Callable[[Sequence[float]], float], start: Sequence[float], size: float = 0.7
) -> list[float]:
    """Return where ``loss`` is least near ``start``: a simplex that is reflected, stretched and contracted."""
    corners = [list(start)]
    for axis in range(len(start)):
        corner = list(start)
        corner[axis] += size
        corners.append(corner)
    valued = sorted(((loss(corner), corner) for corner in corners), key=lambda pair: pair[0])
    for _ in range(STEPS):
        if abs(valued[-1][0] - valued[0][0]) <= TOLERANCE * abs(valued[0][0]):
            break
        valued = _moved(loss, valued)
    return valued[0][1]


def _moved(
    loss: Callable[[Sequence[float]], float], valued: list[tuple[float, list[float]]]
) -> list[tuple[float, list[float]]]:
    """Replace the worst corner, or draw all others to the best one."""
    *others, (worst_loss, worst) = valued
    centre = [sum(column) / len(others) for column in zip(*(corner for _, corner in others), strict=True)]

    def along(distance: float) -> tuple[float, list[float]]:
        corner = [c + distance * (c - w) for c, w in zip(centre, worst, strict=True)]
        return loss(corner), corner

    new = along(1.0)
    if new[0] < others[0][0]:
        new = min(new, along(2.0), key=lambda pair: pair[0])
    elif new[0] >= others[-1][0]:
        new = along(0.5 if new[0] < worst_loss else -0.5)
        if new[0] >= worst_loss:
            best = others[0][1]
            drawn = [[(b + x) / 2 for b, x in zip(best, corner, strict=True)] for _, corner in valued[1:]]
            others, new = others[:1], (loss(drawn[-1]), drawn[-1])
            others += [(loss(corner), corner) for corner in drawn[:-1]]
    return sorted([*others, new], key=lambda pair: pair[0])


def _shares(start: Point) -> Point:
    mu1, *rest = start
    return ((mu1 - FAINTEST) / BRIGHTEST, *rest)


def _share(x: float) -> float:
    """Return the logistic function, kept off 0 and 1."""
    return min(1 - 1e-6, max(1e-6, 1 / (1 + exp(-max(-60.0, min(60.0, x))))))
