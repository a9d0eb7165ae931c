"""Quantum memory: what storing does to the fidelity of a pair."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from math import exp, inf

import numpy as np

from shared_state.config import LinkDevices, MemoryConfig, NodeDevices, WernerSource
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import PHI_PLUS, SHORT, Table, laid_out, overlap

BELL_STATES = {
    "": PHI_PLUS,
    "z": np.array([1, 0, 0, -1], dtype=np.complex128) / np.sqrt(2),
    "x": np.array([0, 1, 1, 0], dtype=np.complex128) / np.sqrt(2),
    "y": np.array([0, 1, -1, 0], dtype=np.complex128) / np.sqrt(2),
}
"""What Phi+ becomes by a gate on its first half: Phi+, Phi-, Psi+, Psi-."""
Sides = tuple[tuple[float, float], tuple[float, float]]
RELAXING: dict[str, Sides] = {
    "T1 10 s, T2 1 s": ((10.0, 1.0), (10.0, 1.0)),
    "pure dephasing, T2 1 s": ((inf, 1.0), (inf, 1.0)),
    "T2 = 2 T1 = 2 s": ((1.0, 2.0), (1.0, 2.0)),
    "NV electron and carbon, decoupled": ((3600.0, 1.46), (36000.0, 1.0)),
    "NV electron and carbon, 2019": ((2.68e-3, 1e-3), (inf, 3.5e-3)),
}
"""T1 and T2 in seconds at each side (Dahlberg et al. 2019; Coopmans et al. 2021)."""
SHARES = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0)
"""Storage times in units of the first side's T2, or of the depolarising time."""
FIDELITIES = (1.0, 0.9, 0.7)

_LINDBLAD = "amplitude damping and dephasing, Lindblad 1976; NetSquid, Coopmans et al. 2021"
_PHI = Formula("memory", "F(Phi+), F(Phi-) under T1 and T2", _LINDBLAD)
_PSI = Formula("memory", "F(Psi+), F(Psi-) under T1 and T2", _LINDBLAD)
_STEPS = Formula("memory", "F(Phi+) when touched half-way", "semigroup, E(s)E(t) = E(s+t)")
_DEPOLARISING = Formula(
    "memory", "1/4 + (F0 - 1/4) e^(-2t/tau)", "Briegel, Dür, Cirac and Zoller, PRL 81, 5932, 1998"
)
_GAUSSIAN = Formula("memory", "(1 + e^(-2 (t/T2)^2))/2", "Gaussian dephasing, Avis et al. 2022")


def stored(t: float, sides: Sides, *, equal_bits: bool) -> float:
    """Return the fidelity of Phi+ (``equal_bits``) or Psi+ after t seconds of storage at both sides."""
    (t1a, t2a), (t1b, t2b) = sides
    a, b = exp(-t / t1a), exp(-t / t1b)
    same = (1 + (1 - a) * (1 - b) + a * b) / 4 if equal_bits else (a + b) / 4
    return same + exp(-t / t2a - t / t2b) / 2


async def memory(seed: int) -> Findings:
    """Store pairs for many times in many memories."""
    findings = Findings()
    curves: list[Curve] = []
    for label, sides in RELAXING.items():
        found = await _relax(sides, seed)
        findings.comparisons.extend(found)
        if sides[0][1] == 1.0 or sides[0][1] == 2.0:
            curves.extend(_curves(label, sides, found))
    findings.comparisons.extend(await _depolarise(seed))
    findings.comparisons.extend(await _gaussian(seed))
    findings.plots.append(
        Plot("memory", "A Bell pair in two memories", "time (s)", "fidelity with Phi+", tuple(curves))
    )
    return findings


async def _relax(sides: Sides, seed: int) -> list[Comparison]:
    (t1a, t2a), (t1b, t2b) = sides
    given = {"t1_a": t1a, "t2_a": t2a, "t1_b": t1b, "t2_b": t2b}
    found: list[Comparison] = []
    async with _memories(MemoryConfig(t1=t1a, t2=t2a), MemoryConfig(t1=t1b, t2=t2b), seed) as table:
        for share in SHARES:
            t = share * t2a
            phi, psi = stored(t, sides, equal_bits=True), stored(t, sides, equal_bits=False)
            for gate, formula, reference in (
                ("", _PHI, phi),
                ("z", _PHI, phi),
                ("x", _PSI, psi),
                ("y", _PSI, psi),
            ):
                found.append(formula.exact(reference, await _after(table, t, gate), t=t, **given))
            found.append(_STEPS.exact(phi, await _after(table, t, touched=True), t=t, **given))
    return found


async def _depolarise(seed: int) -> list[Comparison]:
    tau = 0.062  # trapped ions, Krutyanskiy et al. 2023
    found: list[Comparison] = []
    for f in FIDELITIES:
        kept = MemoryConfig(depolarising_time=tau)
        async with _memories(kept, kept, seed, f) as table:
            for share in SHARES:
                reference = 0.25 + (f - 0.25) * exp(-2 * share)
                measured = await _after(table, share * tau)
                found.append(_DEPOLARISING.exact(reference, measured, t=share * tau, tau=tau, f0=f))
    return found


async def _gaussian(seed: int) -> list[Comparison]:
    t2 = 0.085  # trapped ions, Avis et al. 2022
    kept = MemoryConfig(t2=t2, dephasing="gaussian")
    found: list[Comparison] = []
    async with _memories(kept, kept, seed) as table:
        for share in SHARES:
            for touched in (False, True):
                measured = await _after(table, share * t2, touched=touched)
                reference = (1 + exp(-2 * share**2)) / 2
                found.append(_GAUSSIAN.exact(reference, measured, t=share * t2, t2=t2, touched=touched))
    return found


def _memories(
    alice: MemoryConfig, bob: MemoryConfig, seed: int, fidelity: float = 1.0
) -> AbstractAsyncContextManager[Table]:
    link = LinkDevices(("alice", "bob"), SHORT, WernerSource(fidelity=fidelity))
    return laid_out({"alice": NodeDevices(alice), "bob": NodeDevices(bob)}, {"link": link}, seed)


async def _after(table: Table, t: float, gate: str = "", *, touched: bool = False) -> float:
    """Store a pair for t seconds at both ends, turned by a gate first or touched half-way; return its fidelity."""
    one, other = await table.pair("link", run=table.run())
    alice = table.nodes["alice"]
    if gate:
        alice.gate(one.time, gate, [one.qubit])
    if touched:
        for _ in range(2):
            alice.gate(one.time + t / 2, "z", [one.qubit])
    rho = await table.state(one.time + t, alice=one.qubit, bob=other.qubit)
    return overlap(rho, BELL_STATES[gate])


def _curves(label: str, sides: Sides, found: list[Comparison]) -> list[Curve]:
    grid = [float(x) for x in np.linspace(0, max(SHARES) * sides[0][1], 101)]
    line = tuple(stored(x, sides, equal_bits=True) for x in grid)
    points = [(c.parameters["t"], c.measured) for c in found if c.name == _PHI.name]
    xs, ys = zip(*points, strict=True)
    return [Curve(label, "theory", tuple(grid), line), Curve(label, "measured", xs, ys)]
