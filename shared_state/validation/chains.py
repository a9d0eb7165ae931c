"""Repeater chains: the fidelity after many swaps, and how long the last of many links lets the others wait."""

from __future__ import annotations

from math import comb, exp, sqrt

import numpy as np
from numpy.typing import NDArray

from shared_state.config import GateConfig, LinkDevices, NodeDevices, PhotonPairSource, WernerSource
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import ROOM, SHORT, laid_out

LINKS = (1, 2, 4, 8)
FIDELITIES = (0.8, 0.9, 0.95, 0.99)
IMPERFECT = ((0.95, 0.97, 0.985), (0.99, 0.99, 0.98), (0.97, 1.0, 0.95))
"""F of each link's pairs, two-qubit gate quality p2 and readout fidelity eta of each repeater."""
PROBABILITIES = (0.01, 0.1, 0.5)
PAIRS = 20_000
ROUNDS = 50_000
DECAYS = (0.001, 0.01)
CYCLE = 1e-6

_BRIEGEL = "Briegel, Dür, Cirac and Zoller, PRL 81, 5932, 1998"
_IDEAL = Formula("chains", "n links: 1/4 + 3/4 w^n", _BRIEGEL)
_IMPERFECT = Formula(
    "chains", "n imperfect links: (1 + 2 (p2 k)^(n-1) w^n + (p2 k^2)^(n-1) w^n)/4, k = 2 eta - 1", _BRIEGEL
)
_WAITING = Formula(
    "chains", "mean rounds until n links have a pair", "Bernardes, Praxmeyer and van Loock 2011"
)
_TWO = Formula("chains", "E[x^|t1 - t2|] of two links", "Collins, Jenkins, Kuzmich and Kennedy 2007")


def ideal(n: int, f: float) -> float:
    """Return the fidelity of n Werner pairs connected by perfect swaps."""
    return 0.25 + 0.75 * ((4 * f - 1) / 3) ** n


def rounds_moments(n: int, p: float) -> tuple[float, float]:
    """Return the mean and the variance of the largest of n geometric variables."""
    mean = second = 0.0
    for k in range(1, n + 1):
        term, r = comb(n, k) * (-1) ** (k + 1), (1 - p) ** k
        mean += term / (1 - r)
        second += term * (1 + r) / (1 - r) ** 2
    return mean, second - mean**2


def difference_moment(x: float, p: float) -> float:
    """Return E[x^|t1 - t2|] of two geometric variables."""
    return p / (2 - p) * (1 + 2 * (1 - p) * x / (1 - (1 - p) * x))


async def chains(seed: int) -> Findings:
    """Swap chains of many lengths, and let many links wait for each other."""
    findings = Findings()
    for n in LINKS:
        for f in FIDELITIES:
            measured = await _chain(n, f, GateConfig(), seed)
            lowest = float(measured.min())
            findings.comparisons.append(_IDEAL.exact(ideal(n, f), lowest, n=n, f=f))
        for f, p2, eta in IMPERFECT if n > 1 else ():
            findings.comparisons.append(await _imperfect(n, f, p2, eta, seed))
    for p in PROBABILITIES:
        attempts = await _attempts(p, seed)
        findings.comparisons.extend(_waiting(p, attempts))
        if p == PROBABILITIES[0]:
            findings.plots.append(_waiting_plot(p, attempts))
    findings.plots.insert(0, _chain_plot(findings.comparisons))
    return findings


async def _chain(n: int, f: float, repeater: GateConfig, seed: int) -> NDArray[np.float64]:
    """Return the fidelities of a batch of pairs across n links, corrected at the last node."""
    nodes = {f"node{i}": NodeDevices(ROOM, repeater if 0 < i < n else GateConfig()) for i in range(n + 1)}
    links = {
        f"link{i}": LinkDevices((f"node{i - 1}", f"node{i}"), SHORT, WernerSource(fidelity=f))
        for i in range(1, n + 1)
    }
    async with laid_out(nodes, links, seed) as table:
        delivered = [await table.pairs(link, PAIRS) for link in links]
        at = max(float(one.times[-1]) for one, _ in delivered)
        x = z = np.zeros(PAIRS, dtype=np.uint8)
        for i in range(1, n):
            left, right = delivered[i - 1][1].batch, delivered[i][0].batch
            more_x, more_z = await table.nodes[f"node{i}"].swap_pairs(at, left, right)
            x, z = x ^ more_x, z ^ more_z
        last, batch = table.nodes[f"node{n}"], delivered[-1][1].batch
        if n > 1:
            last.correct_pairs(at, batch, x, z)
        await table.settle(f"node{n}")
        return await table.oracle.pair_fidelities(f"node{n}", batch)


async def _imperfect(n: int, f: float, p2: float, eta: float, seed: int) -> Comparison:
    """Compare the mean: a pair has (1 + 3v)/4 where both sums of reported bits are right, else (1 - v)/4."""
    repeater = GateConfig(two_fidelity=p2, readout_error_0=1 - eta, readout_error_1=1 - eta)
    measured = float((await _chain(n, f, repeater, seed)).mean())
    w, k, swaps = (4 * f - 1) / 3, 2 * eta - 1, n - 1
    reference = (1 + 2 * (p2 * k) ** swaps * w**n + (p2 * k**2) ** swaps * w**n) / 4
    v = p2**swaps * w**n
    right = (reference - (1 - v) / 4) / v
    deviation = v * sqrt(max(0.0, right * (1 - right)))
    return _IMPERFECT.mean(reference, measured, PAIRS, deviation, n=n, f=f, p2=p2, eta=eta)


async def _attempts(p: float, seed: int) -> NDArray[np.float64]:
    """Return how many attempts each pair of eight links took, shape (8, ROUNDS)."""
    source = PhotonPairSource(attempt_rate=1 / CYCLE, emission=(p, 1.0))
    links = {f"link{i}": LinkDevices(("alice", "bob"), SHORT, source) for i in range(LINKS[-1])}
    taken = []
    async with laid_out({"alice": NodeDevices(ROOM), "bob": NodeDevices(ROOM)}, links, seed) as table:
        for link in links:
            one, other = await table.pairs(link, ROUNDS)
            taken.append(np.rint(np.diff(one.times, prepend=-CYCLE) / CYCLE))
            await table.nodes["alice"].discard_pairs(float(one.times[-1]), one.batch)
            await table.nodes["bob"].discard_pairs(float(other.times[-1]), other.batch)
    return np.array(taken)


def _waiting(p: float, attempts: NDArray[np.float64]) -> list[Comparison]:
    found = []
    for n in LINKS:
        mean, variance = rounds_moments(n, p)
        measured = float(attempts[:n].max(axis=0).mean())
        found.append(_WAITING.mean(mean, measured, ROUNDS, sqrt(variance), n=n, p=p))
    apart = np.abs(attempts[0] - attempts[1])
    for rate in DECAYS:
        x = exp(-rate)
        mean = difference_moment(x, p)
        deviation = sqrt(difference_moment(x * x, p) - mean**2)
        found.append(_TWO.mean(mean, float((x**apart).mean()), ROUNDS, deviation, p=p, x=x))
    return found


def _chain_plot(comparisons: list[Comparison]) -> Plot:
    curves: list[Curve] = []
    grid = [float(n) for n in np.linspace(1, LINKS[-1], 71)]
    for f in FIDELITIES:
        points = [
            (c.parameters["n"], c.measured)
            for c in comparisons
            if c.name == _IDEAL.name and c.parameters["f"] == f
        ]
        xs, ys = zip(*points, strict=True)
        line = tuple(0.25 + 0.75 * ((4 * f - 1) / 3) ** n for n in grid)
        curves += [Curve(f"F = {f:g}", "theory", tuple(grid), line), Curve(f"F = {f:g}", "measured", xs, ys)]
    return Plot("chains", "Chains of perfect swaps", "links", "fidelity from end to end", tuple(curves))


def _waiting_plot(p: float, attempts: NDArray[np.float64]) -> Plot:
    curves: list[Curve] = []
    grid = [float(t) for t in range(0, 801, 8)]
    for n in LINKS[:3]:
        rounds = attempts[:n].max(axis=0)
        line = tuple((1 - (1 - p) ** t) ** n for t in grid)
        xs = tuple(grid[::5])
        ys = tuple(float((rounds <= t).mean()) for t in xs)
        label = f"{n} link" + ("s" if n > 1 else "")
        curves += [Curve(label, "theory", tuple(grid), line), Curve(label, "measured", xs, ys)]
    title = f"Waiting until all links have a pair, p = {p:g}"
    return Plot("waiting", title, "rounds", "probability that all have one", tuple(curves))
