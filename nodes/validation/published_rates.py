"""Key rates beside what papers publish: infinite keys of 2005, finite ones of 2014 and 2018."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nodes.qkd.asymptotic_rates import (
    gobby_yuan_shields,
    infinite_decoy_rate,
    plob_bound,
    vacuum_and_weak_rate,
)
from nodes.qkd.one_decoy import secret_length
from nodes.qkd.optimal_settings import TWO_DECOY_STARTS
from nodes.qkd.phase_error import approximated
from nodes.qkd.security import Security
from nodes.qkd.tallies import DecoySource, Tallies
from nodes.validation.concise_figure import DEVIATIONS, FIGURE, best_rate
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot

MU, NU = 0.48, 0.05
BLOCKS = (1e5, 1e6, 1e7, 1e9)
GRID_KM = tuple(float(km) for km in range(0, 185, 15))

_MA = "Ma, Qi, Zhao and Lo, PRA 72, 012326, 2005"
_LIM = "Lim et al., PRA 89, 022307, 2014"
_BEST = Formula("published-rates", "best signal of the GYS system", _MA)
_REACH = Formula("published-rates", "reach of the GYS system in km", _MA)
_FIGURE = Formula("published-rates", "figure 1: key rate with two decoys, over the printed one", _LIM)
_BLOCKS = Formula("published-rates", "blocks of 1e9 over blocks of 1e7 at 100 km", _LIM)
_ONE = Formula(
    "published-rates", "secret bits with one decoy", "Rusca et al. 2018, in Lean and interval arithmetic"
)


async def published_rates(seed: int) -> Findings:
    """Compare with published numbers. Nothing is drawn, so ``seed`` changes nothing."""
    findings = Findings([*_asymptotic(), *_figure(), _proven()])
    findings.plots.extend([_gys_plot(), _figure_plot()])
    return findings


def _asymptotic() -> list[Comparison]:
    found = []
    for efficiency, mu in ((1.22, 0.48), (1.0, 0.54)):
        grid = [0.3 + 0.001 * step for step in range(400)]
        best = max(grid, key=lambda x: infinite_decoy_rate(gobby_yuan_shields(0.0), x, efficiency))
        # the paper solves for the limit of a small transmission
        found.append(_BEST.exact(mu, best, tolerance=0.015, f=efficiency))
    infinite = _reach(lambda km: infinite_decoy_rate(gobby_yuan_shields(km), MU))
    weak = _reach(lambda km: vacuum_and_weak_rate(gobby_yuan_shields(km), MU, NU))
    found.append(_REACH.exact(142.05, infinite, tolerance=0.1, mu=MU))
    found.append(_REACH.exact(140.55, weak, tolerance=0.1, mu=MU, nu=NU))
    return found


def _figure() -> list[Comparison]:
    found = [
        _FIGURE.exact(
            1.0,
            best_rate(km, block) / figure,
            tolerance=max(1 - DEVIATIONS[block][0], DEVIATIONS[block][1] - 1),
            block=block,
            km=km,
        )
        for block in BLOCKS
        for km, figure in FIGURE[block].items()
    ]
    return [*found, _BLOCKS.exact(1.75, best_rate(100, 1e9) / best_rate(100, 1e7), tolerance=0.06)]


def _proven() -> Comparison:
    source = DecoySource((0.51, 0.15), (0.7, 0.3))
    block = Tallies((8_875_913, 1_124_087), (165_048, 20_902), (3_456, 484), (185_856, 26_055))
    ours = secret_length(block, source, 1_776_924, Security(1e-9, 1e-15), approximated)
    return _ONE.exact(1.4647190887320058e6, ours.surplus, tolerance=1e-4)


def _reach(rate: Callable[[float], float]) -> float:
    """Return where the rate vanishes, to a metre."""
    shortest, longest = 50.0, 300.0
    while longest - shortest > 1e-3:
        middle = (shortest + longest) / 2
        shortest, longest = (middle, longest) if rate(middle) > 0 else (shortest, middle)
    return shortest


def _curve(label: str, kilometres: tuple[float, ...], rate: Callable[[float], float]) -> Curve:
    points = [(km, rate(km)) for km in kilometres]
    xs, ys = zip(*[point for point in points if point[1] > 0], strict=True)
    return Curve(label, "theory", xs, ys)


def _plotted(block: float, km: float) -> float:
    # one place to search from is enough where blocks are long
    return best_rate(km, block, starts=TWO_DECOY_STARTS[1:2])


def _gys_plot() -> Plot:
    grid = tuple(float(km) for km in range(143))
    curves = (
        _curve("PLOB bound of the fibre", grid[1:], lambda km: plob_bound(10 ** (-0.021 * km))),
        _curve("infinitely many decoys", grid, lambda km: infinite_decoy_rate(gobby_yuan_shields(km), MU)),
        _curve(f"vacuum and {NU:g}", grid, lambda km: vacuum_and_weak_rate(gobby_yuan_shields(km), MU, NU)),
    )
    title = f"Gobby, Yuan and Shields: infinite keys, mu = {MU:g}"
    return Plot("gys", title, "length (km)", "secret bits per pulse", curves, logarithmic=True)


def _figure_plot() -> Plot:
    curves: list[Curve] = []
    for block in BLOCKS:
        label = f"blocks of {block:.0e}"
        curves.append(_curve(label, GRID_KM, partial(_plotted, block)))
        curves.append(Curve(label, "measured", tuple(FIGURE[block]), tuple(FIGURE[block].values())))
    title = "Two decoys, finite keys; points: read off figure 1 of Lim et al."
    return Plot("finite-keys", title, "length (km)", "secret bits per pulse", tuple(curves), logarithmic=True)
