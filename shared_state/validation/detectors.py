"""Detectors that are blind after a click, or click again without light."""

from __future__ import annotations

from itertools import product
from math import sqrt

import numpy as np

from shared_state.config import DetectorConfig, PulseConfig
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.shots import Setting, shoot

PULSES = 400_000
BRIGHT_PULSES = 30_000
DEAD_PERIODS = (1, 10, 100)
"""Dead time in periods of the pulses, the click's own included."""
ECHOES = (0.0, 0.02, 0.1, 0.4)
"""The probability that an after-pulse follows a click."""
CHAINS = (0.05, 0.2, 0.4)
EFFICIENCY = 0.2
BRIGHT = 50.0
"""A mean photon number that always clicks."""
BLOCK = 64
"""A bright pulse is followed by so many dark ones: no chain of after-pulses lasts to the next."""

_FELLER = "renewal theory, Feller"
_RATE = Formula("detectors", "clicks per pulse: 1/(d - 1 + a + (1-a)/q)", _FELLER)
_ERRORS = Formula("detectors", "errors by after-pulses: a (1-q)/2 + a q/4", _FELLER)
_TOTAL = Formula("detectors", "clicks that one click makes: 1 + a + a^2 + ... = 1/(1-a)", "geometric series")
_CHAIN = Formula("detectors", "share of clicks with at least n after-pulses: a^n", "geometric series")


def clicks_per_pulse(q: float, a: float, d: int) -> float:
    """Return the rate of a receiver that sees a pulse with probability q when it is ready.

    It is ready again after d periods; in the first of them it clicks, without light, with probability a. So the
    mean gap is d with probability a and d - 1 + 1/q else.
    """
    return 1 / (d - 1 + a + (1 - a) / q)


async def detectors(seed: int) -> Findings:
    """Count clicks of many receivers, and what follows a single one."""
    findings = Findings()
    for d, a in product(DEAD_PERIODS, ECHOES):
        findings.comparisons.extend(await _steady(d, a, seed))
    for a in CHAINS:
        findings.comparisons.extend(await _chains(a, seed))
    findings.plots.append(_plot(findings.comparisons))
    return findings


async def _steady(d: int, a: float, seed: int) -> list[Comparison]:
    """Let single photons arrive in every period."""
    q = EFFICIENCY
    receiver = DetectorConfig(efficiency=q, dead_time=d * 1e-6, afterpulse_probability=a)
    shot = await shoot(Setting(PulseConfig(detectors=receiver), count=PULSES), seed)
    clicks, count = shot.clicks()
    errors, _ = shot.errors()
    rate = clicks_per_pulse(q, a, d)
    # the gap is d - 1 and a number that is 1, or geometric
    spread = a + (1 - a) * (2 - q) / q**2 - (a + (1 - a) / q) ** 2
    given = {"q": q, "d": d, "a": a}
    return [
        _RATE.mean(rate, clicks / count, count, sqrt(spread * rate**3), **given),
        _ERRORS.share(a * ((1 - q) / 2 + q / 4), errors, clicks, **given),
    ]


async def _chains(a: float, seed: int) -> list[Comparison]:
    """Let a bright pulse arrive now and then, and nothing else."""
    receiver = DetectorConfig(dead_time=2e-6, afterpulse_probability=a)
    light = PulseConfig(intensities=(BRIGHT, 0.0), detectors=receiver)
    shot = await shoot(Setting(light, count=BRIGHT_PULSES * BLOCK, spacing=BLOCK), seed)
    lengths = shot.clicked.reshape(-1, BLOCK).sum(axis=1, dtype=np.int64)
    deviation = sqrt(a) / (1 - a)
    mean = float(lengths.mean())
    return [_TOTAL.mean(1 / (1 - a), mean, BRIGHT_PULSES, deviation, a=a)] + [
        _CHAIN.share(a**n, int((lengths > n).sum()), BRIGHT_PULSES, a=a, n=n) for n in (1, 2, 3)
    ]


def _plot(comparisons: list[Comparison]) -> Plot:
    curves: list[Curve] = []
    grid = [float(a) for a in np.linspace(0, ECHOES[-1], 101)]
    for d in DEAD_PERIODS:
        points = [
            (c.parameters["a"], c.measured)
            for c in comparisons
            if c.name == _RATE.name and c.parameters["d"] == d
        ]
        xs, ys = zip(*points, strict=True)
        label = f"blind for {d - 1} further pulses" if d > 1 else "never blind"
        line = tuple(clicks_per_pulse(EFFICIENCY, a, d) for a in grid)
        curves += [Curve(label, "theory", tuple(grid), line), Curve(label, "measured", xs, ys)]
    title = f"A detector of efficiency {EFFICIENCY:g} with after-pulses"
    return Plot(
        "detectors", title, "after-pulse probability", "clicks per pulse", tuple(curves), logarithmic=True
    )
