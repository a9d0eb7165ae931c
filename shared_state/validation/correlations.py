"""What the correlations of a pair are good for: Bell's inequality, the witness, negativity, a key's error rate."""

from __future__ import annotations

from math import exp, inf, sqrt

import numpy as np

from shared_state.config import LinkDevices, MemoryConfig, NodeDevices, WernerSource
from shared_state.engine import measures
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import ROOM, SHORT, laid_out

FIDELITIES = (0.25, 0.4, 0.5, 0.6, 0.7, 0.780330, 0.85, 0.9, 0.95, 1.0)
TIMES = (0.0, 0.1, 0.3, 0.6, 1.0, 2.0)
PAIRS = 50_000

_CHSH = Formula("correlations", "Werner pair: largest S = 2 sqrt2 (4F-1)/3", "Horodecki et al. 1995")
_DEPHASED = Formula(
    "correlations", "dephased pair: largest S = 2 sqrt(1 + (2F-1)^2)", "Horodecki et al. 1995"
)
_WITNESS = Formula("correlations", "witness 1/2 - F", "Gühne and Tóth 2009")
_NEGATIVITY = Formula("correlations", "Werner pair: negativity max(0, (2F-1)/2)", "Vidal and Werner 2002")
_QBER = Formula("correlations", "BBM92 on Werner pairs: QBER 2(1-F)/3", "Bennett, Brassard and Mermin 1992")


async def correlations(seed: int) -> Findings:
    """Look at Werner pairs of many fidelities, and at Bell pairs dephased for many times."""
    findings = Findings()
    for f in FIDELITIES:
        findings.comparisons.extend(await _of_werner(f, seed))
    findings.comparisons.extend(await _of_dephased(seed))
    findings.plots.append(_plot(findings.comparisons))
    return findings


async def _of_werner(f: float, seed: int) -> list[Comparison]:
    nodes = {"alice": NodeDevices(ROOM), "bob": NodeDevices(ROOM)}
    found: list[Comparison] = []
    link = LinkDevices(("alice", "bob"), SHORT, WernerSource(fidelity=f))
    async with laid_out(nodes, {"link": link}, seed) as table:
        one, other = await table.pair("link")
        rho = await table.state(one.time, alice=one.qubit, bob=other.qubit)
        found.append(_CHSH.exact(2 * sqrt(2) * abs(4 * f - 1) / 3, measures.chsh_maximum(rho), f=f))
        found.append(_WITNESS.exact(0.5 - f, measures.witness(rho), f=f))
        found.append(_NEGATIVITY.exact(max(0.0, (2 * f - 1) / 2), measures.negativity(rho), f=f))
        for basis in (0, 1):
            mine, yours = await table.pairs("link", PAIRS, table.run())
            bases = np.full(PAIRS, basis, dtype=np.uint8)
            at = float(mine.times[-1])
            a = await table.nodes["alice"].measure_pairs(at, mine.batch, bases)
            b = await table.nodes["bob"].measure_pairs(at, yours.batch, bases)
            found.append(_QBER.share(2 * (1 - f) / 3, int((a != b).sum()), PAIRS, f=f, basis=basis))
    return found


async def _of_dephased(seed: int) -> list[Comparison]:
    memory = NodeDevices(MemoryConfig(t1=inf, t2=1.0))
    found: list[Comparison] = []
    link = LinkDevices(("alice", "bob"), SHORT)
    async with laid_out({"alice": memory, "bob": memory}, {"link": link}, seed) as table:
        for t in TIMES:
            one, other = await table.pair("link", run=table.run())
            rho = await table.state(one.time + t, alice=one.qubit, bob=other.qubit)
            f = (1 + exp(-2 * t)) / 2
            reference = 2 * sqrt(1 + (2 * f - 1) ** 2)
            found.append(_DEPHASED.exact(reference, measures.chsh_maximum(rho), f=f, t=t))
    return found


def _plot(comparisons: list[Comparison]) -> Plot:
    grid = [float(f) for f in np.linspace(0.5, 1, 101)]
    curves: list[Curve] = []
    lines = {
        _CHSH.name: ("Werner", tuple(2 * sqrt(2) * (4 * f - 1) / 3 for f in grid)),
        _DEPHASED.name: ("dephased", tuple(2 * sqrt(1 + (2 * f - 1) ** 2) for f in grid)),
    }
    for name, (label, line) in lines.items():
        points = [
            (c.parameters["f"], c.measured)
            for c in comparisons
            if c.name == name and c.parameters["f"] >= grid[0]
        ]
        xs, ys = zip(*points, strict=True)
        curves += [Curve(label, "theory", tuple(grid), line), Curve(label, "measured", xs, ys)]
    curves.append(Curve("local hidden variables", "theory", (grid[0], grid[-1]), (2.0, 2.0)))
    return Plot("chsh", "Violation of Bell's inequality", "fidelity with Phi+", "largest S", tuple(curves))
