"""Distillation of single-click pairs: what both ends sent, and what their phases were, cancels (EPL)."""

from __future__ import annotations

from itertools import product

import numpy as np

from shared_state.config import LinkDevices, MemoryConfig, NodeDevices, SingleClickSource
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.heralding import FIBRE, Heralded, single_click
from shared_state.validation.table import Table, laid_out, overlap

ALPHAS = (0.05, 0.1, 0.2, 0.3, 0.5)
NOISES = ((1.0, 0.0, 0.0, 0.0), (0.9, 0.35, 0.06, 0.0), (0.9, 0.0, 0.0, 1e-3), (0.7, 0.2, 0.0, 1e-2))
"""Visibility, phase deviation, double excitation, dark counts."""
SKEWS = (1.0, 0.6)
"""The second end's alpha and collection by those of the first."""
TRIALS = 400
SAMPLED = (0.1, 0.3, 0.5)

_CAMPBELL = "Campbell and Benjamin 2008; Kalb et al. 2017"
_IDEAL_P = Formula("distillation", "EPL, weight a of |11>: p = (1-a)^2/2", _CAMPBELL)
_IDEAL_F = Formula("distillation", "EPL without dark counts or noise: F = 1", _CAMPBELL)
_P = Formula("distillation", "EPL of noisy single-click pairs: probability", _CAMPBELL)
_F = Formula("distillation", "EPL of noisy single-click pairs: fidelity", _CAMPBELL)
_SHARE = Formula("distillation", "EPL: share of trials in which both ends see 1", _CAMPBELL)


def epl(pair: Heralded) -> tuple[float, float]:
    """Return success probability and fidelity of what two such pairs become when both targets show 1.

    The two pairs then differ at both ends: ud meets du, and uu meets dd, which dark counts make.
    """
    odd, even = pair.ud * pair.du, pair.uu * pair.dd
    weight = 2 * (odd + even)
    return weight / pair.probability**2, (odd + pair.coherence**2) / weight


async def distillation(seed: int) -> Findings:
    """Distil pairs of single-click sources through 20 km of fibre."""
    findings = Findings()
    for alpha, noise, skew in product(ALPHAS, NOISES, SKEWS):
        findings.comparisons.extend(await _exact(_source(alpha, noise, skew), seed))
    for index, alpha in enumerate(SAMPLED):
        findings.comparisons.append(await _sampled(_source(alpha, NOISES[1], 1.0), seed + index))
    findings.plots.append(_plot(findings.comparisons))
    return findings


def _source(alpha: float, noise: tuple[float, float, float, float], skew: float) -> SingleClickSource:
    visibility, phase, double_excitation, dark = noise
    return SingleClickSource(
        attempt_rate=1e6,
        alpha=(alpha, alpha * skew),
        emission=(0.5, 0.5 * skew),
        visibility=visibility,
        phase_deviation=phase,
        double_excitation=double_excitation,
        dark_count_probability=dark,
    )


async def _meet(table: Table) -> tuple[list[int], list[int], float]:
    """Make two pairs in the frame of Psi+ and apply both CNOTs: alice's and bob's qubits, kept and spent; when."""
    run = table.run()
    first = await table.pair("link", run=run)
    second = await table.pair("link", first[0].time, run)
    at = second[0].time
    qubits = [[pair[end].qubit for pair in (first, second)] for end in (0, 1)]
    for qubit in qubits[0]:
        table.nodes["alice"].gate(at, "x", [qubit])
    for node, held in zip(("alice", "bob"), qubits, strict=True):
        table.nodes[node].gate(at, "cnot", held)
    return qubits[0], qubits[1], at


async def _exact(source: SingleClickSource, seed: int) -> list[Comparison]:
    nodes = {"alice": NodeDevices(), "bob": NodeDevices()}
    async with laid_out(nodes, {"link": LinkDevices(("alice", "bob"), FIBRE, source)}, seed) as table:
        alice, bob, _ = await _meet(table)
        await table.settle("alice", "bob")
        rho = await table.oracle.density_matrix([alice[0], bob[0], alice[1], bob[1]])
    both = rho.reshape(4, 4, 4, 4)[:, 3, :, 3]
    p = float(np.trace(both).real)
    fidelity = overlap(both, np.array([0, 1, 1, 0], dtype=np.complex128) / np.sqrt(2)) / p
    pair = single_click(source)
    expected_p, expected_f = epl(pair)
    given = {
        "alpha_a": source.alpha[0],
        "alpha_b": source.alpha[1],
        "visibility": source.visibility,
        "phase": source.phase_deviation,
        "dark": source.dark_count_probability,
    }
    found = [_P.exact(expected_p, p, **given), _F.exact(expected_f, fidelity, **given)]
    if source.dark_count_probability == 0 and source.alpha[0] == source.alpha[1]:
        a = pair.uu / pair.probability
        found.append(_IDEAL_P.exact((1 - a) ** 2 / 2, p, a=a))
    if source.visibility == 1:
        found.append(_IDEAL_F.exact(1, fidelity, **given))
    return found


async def _sampled(source: SingleClickSource, seed: int) -> Comparison:
    successes = 0
    node = NodeDevices(MemoryConfig(count=4))
    link = LinkDevices(("alice", "bob"), FIBRE, source)
    async with laid_out({"alice": node, "bob": node}, {"link": link}, seed) as table:
        for _ in range(TRIALS):
            *ends, at = await _meet(table)
            seen = []
            for name, (kept, spent) in zip(("alice", "bob"), ends, strict=True):
                seen.append(await table.nodes[name].measure(at, spent, "Z"))
                await table.nodes[name].discard(at, kept)
            successes += seen == [1, 1]
    return _SHARE.share(epl(single_click(source))[0], successes, TRIALS, alpha=source.alpha[0])


def _plot(comparisons: list[Comparison]) -> Plot:
    curves: list[Curve] = []
    grid = [float(a) for a in np.linspace(ALPHAS[0], ALPHAS[-1], 101)]
    for noise in NOISES[:3]:
        visibility, phase, _, dark = noise
        points = [
            (c.parameters["alpha_a"], c.measured)
            for c in comparisons
            if c.name == _F.name
            and c.parameters["alpha_a"] == c.parameters["alpha_b"]
            and (c.parameters["visibility"], c.parameters["dark"], c.parameters["phase"])
            == (visibility, dark, phase)
        ]
        xs, ys = zip(*points, strict=True)
        label = f"V = {visibility:g}, phase {phase:g}, dark {dark:g}"
        pairs = [single_click(_source(a, noise, 1.0)) for a in grid]
        curves += [
            Curve(f"{label}, before", "theory", tuple(grid), tuple(pair.fidelity for pair in pairs)),
            Curve(label, "theory", tuple(grid), tuple(epl(pair)[1] for pair in pairs)),
            Curve(label, "measured", xs, ys),
        ]
    return Plot("distillation", "Single-click pairs, distilled", "alpha", "fidelity", tuple(curves))
