"""Attempts at entanglement beside a stored qubit: each one dephases it."""

from __future__ import annotations

from math import exp, inf, sqrt

import numpy as np

from shared_state.config import DoubleClickSource, FibreConfig, LinkDevices, MemoryConfig, NodeDevices
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import SHORT, Table, laid_out, overlap

LIFETIMES = ((273.0, inf), (1400.0, inf), (1800.0, 0.5), (5300.0, inf))
"""N_1/e of a carbon spin (Kalb 2017, Coopmans 2021, Pompili 2021, Hermans 2022) and a T2 in seconds beside it."""
FAR = FibreConfig(length=10e3)
SOURCE = DoubleClickSource(emission=(0.05, 0.05))
CYCLE = 10e3 / 2.0e8
"""An attempt waits for the herald before: as long as light takes from one end to the other."""
SUCCESS = (0.05 * exp(-0.2 * 5 * np.log(10) / 10)) ** 2 / 2
TRIALS = 300
LOOKED_AT = 20
"""So many of the trials become comparisons of their own."""

_KALB = "Kalb et al. 2017; Coopmans et al. 2021"
_AFTER = Formula("attempts", "F after k attempts: (1 + e^(-k/N - t/T2))/2", _KALB)
_AMID = Formula("attempts", "F amid the attempts of a link: (1 + e^(-j/N - t/T2))/2", _KALB)
_MEAN = Formula("attempts", "mean coherence when the link succeeds: p x/(1 - (1-p) x), x = e^(-1/N)", _KALB)


def mean_coherence(x: float, p: float) -> float:
    """Return E[x^k] of a geometric variable k."""
    return p * x / (1 - (1 - p) * x)


async def attempts(seed: int) -> Findings:
    """Keep half of a Bell pair in storage while the same node makes another pair through 10 km of fibre."""
    findings = Findings()
    for index, (lifetime, t2) in enumerate(LIFETIMES):
        findings.comparisons.extend(await _stored(lifetime, t2, seed + index))
    findings.plots.append(_plot(findings.comparisons))
    return findings


async def _stored(lifetime: float, t2: float, seed: int) -> list[Comparison]:
    kept = MemoryConfig(t2=t2, attempt_dephasing=(1 - exp(-1 / lifetime)) / 2)
    nodes = {"alice": NodeDevices(), "charlie": NodeDevices(storage=kept), "bob": NodeDevices()}
    links = {
        "near": LinkDevices(("alice", "charlie"), SHORT),
        "far": LinkDevices(("charlie", "bob"), FAR, SOURCE),
    }
    given = {"n": lifetime, "t2": t2}
    found: list[Comparison] = []
    coherences = []
    async with laid_out(nodes, links, seed) as table:
        for trial in range(TRIALS):
            k, amid, after = await _trial(table, trial)
            wait = (k + 1) * CYCLE
            coherences.append((2 * after - 1) * exp(wait / t2))
            if trial < LOOKED_AT:
                reference = (1 + exp(-k / lifetime - wait / t2)) / 2
                found.append(_AFTER.exact(reference, after, k=k, **given))
                j = k // 2
                reference = (1 + exp(-j / lifetime - (j + 0.5) * CYCLE / t2)) / 2
                found.append(_AMID.exact(reference, amid, j=j, **given))
    x = exp(-1 / lifetime)
    mean = mean_coherence(x, SUCCESS)
    deviation = sqrt(mean_coherence(x * x, SUCCESS) - mean**2)
    found.append(_MEAN.mean(mean, float(np.mean(coherences)), TRIALS, deviation, p=SUCCESS, **given))
    return found


async def _trial(table: Table, trial: int) -> tuple[int, float, float]:
    """Return how many attempts the far link took, and the stored pair's fidelity amid them and after them.

    Two pairs are stored, for looking at one ends it. Attempts begin one cycle after the storing.
    """
    run = table.run()
    charlie = table.nodes["charlie"]
    pairs = [await table.pair("near", run=run) for _ in range(2)]
    stored = pairs[-1][1].time
    for _, half in pairs:
        await charlie.store(stored, half.qubit)
    one, other = await table.pair("far", stored + CYCLE, run)
    k = round((one.time - stored) / CYCLE) - 1
    fidelities = []
    for (far, half), wait in zip(pairs, ((k // 2 + 0.5) * CYCLE, (k + 1) * CYCLE), strict=True):
        fidelities.append(overlap(await table.state(stored + wait, alice=far.qubit, charlie=half.qubit)))
    await charlie.discard(one.time, one.qubit)
    await table.nodes["bob"].discard(other.time, other.qubit)
    return k, fidelities[0], fidelities[1]


def _plot(comparisons: list[Comparison]) -> Plot:
    curves: list[Curve] = []
    grid = [float(k) for k in np.linspace(0, 5000, 101)]
    for lifetime, t2 in LIFETIMES:
        if t2 < inf:
            continue
        points = [
            (c.parameters["k"], c.measured)
            for c in comparisons
            if c.name == _AFTER.name and c.parameters["n"] == lifetime and c.parameters["k"] <= grid[-1]
        ]
        xs, ys = zip(*points, strict=True)
        label = f"N = {lifetime:g}"
        line = tuple((1 + exp(-k / lifetime)) / 2 for k in grid)
        curves += [Curve(label, "theory", tuple(grid), line), Curve(label, "measured", xs, ys)]
    return Plot(
        "attempts", "A stored half beside a busy link", "attempts", "fidelity with Phi+", tuple(curves)
    )
