"""Entanglement swapping and teleportation."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from math import sqrt

import numpy as np

from shared_state.config import GateConfig, LinkDevices, NodeDevices, WernerSource
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import ROOM, SHORT, Table, laid_out, overlap

FIDELITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
IMPERFECT = ((0.93, 0.9, 0.97, 0.985), (0.95, 0.95, 0.9, 0.99), (1.0, 1.0, 0.95, 0.9), (0.8, 0.97, 1.0, 0.95))
"""F1 and F2 of the pairs, two-qubit gate quality p2 and readout fidelity eta of the repeater."""
PAIRS = 50_000
INPUTS = {
    "0": (1, 0),
    "1": (0, 1),
    "+": (sqrt(0.5), sqrt(0.5)),
    "-": (sqrt(0.5), -sqrt(0.5)),
    "+i": (sqrt(0.5), 1j * sqrt(0.5)),
    "-i": (sqrt(0.5), -1j * sqrt(0.5)),
}

_BRIEGEL = "Briegel, Dür, Cirac and Zoller, PRL 81, 5932, 1998"
_SWAP = Formula("swapping", "F1 F2 + (1-F1)(1-F2)/3", _BRIEGEL)
_IMPERFECT = Formula("swapping", "1/4 + 3/4 p2 (4 eta^2 - 1)/3 w1 w2", _BRIEGEL)
_TELEPORTED = Formula("swapping", "teleportation of six states: (2F+1)/3", "Horodecki et al. 1999")


def w(fidelity: float) -> float:
    """Return the weight (4F-1)/3 of Phi+ in a Werner pair."""
    return (4 * fidelity - 1) / 3


async def swapping(seed: int) -> Findings:
    """Swap pairs one by one and in batches; teleport the six eigenstates of the Pauli operators."""
    findings = Findings()
    for first in FIDELITIES:
        findings.comparisons.append(await _teleport(first, seed))
        for second in FIDELITIES:
            async with _row(first, second, GateConfig(), seed) as table:
                measured = await _swap(table)
            reference = first * second + (1 - first) * (1 - second) / 3
            findings.comparisons.append(_SWAP.exact(reference, measured, f1=first, f2=second))
    for setting in IMPERFECT:
        findings.comparisons.append(await _imperfect(*setting, seed))
    findings.plots.append(_plot(findings.comparisons))
    return findings


def _row(first: float, second: float, gates: GateConfig, seed: int) -> AbstractAsyncContextManager[Table]:
    nodes = {"alice": NodeDevices(ROOM), "charlie": NodeDevices(ROOM, gates), "bob": NodeDevices(ROOM)}
    links = {
        "left": LinkDevices(("alice", "charlie"), SHORT, WernerSource(fidelity=first)),
        "right": LinkDevices(("charlie", "bob"), SHORT, WernerSource(fidelity=second)),
    }
    return laid_out(nodes, links, seed)


async def _swap(table: Table) -> float:
    a, left = await table.pair("left")
    right, b = await table.pair("right", left.time)
    x, z = await table.nodes["charlie"].bell_measure(right.time, left.qubit, right.qubit)
    _correct(table, b.time, b.qubit, x, z)
    return overlap(await table.state(b.time, alice=a.qubit, bob=b.qubit))


def _correct(table: Table, at: float, qubit: int, x: int, z: int) -> None:
    for name, needed in (("x", x), ("z", z)):
        if needed:
            table.nodes["bob"].gate(at, name, [qubit])


async def _teleport(fidelity: float, seed: int) -> Comparison:
    """Return the mean over the six states; for a Werner pair every outcome gives the same fidelity."""
    total = 0.0
    link = LinkDevices(("alice", "bob"), SHORT, WernerSource(fidelity=fidelity))
    nodes = {"alice": NodeDevices(), "bob": NodeDevices()}
    async with laid_out(nodes, {"link": link}, seed) as table:
        alice = table.nodes["alice"]
        for alpha, beta in INPUTS.values():
            run = table.run()
            mine, yours = await table.pair("link", run=run)
            psi = np.array([alpha, beta], dtype=np.complex128)
            qubit = await alice.qubit(mine.time, run)
            made = np.array([[alpha, -np.conj(beta)], [beta, np.conj(alpha)]], dtype=np.complex128)
            alice.unitary(mine.time, made, [qubit])
            x, z = await alice.bell_measure(mine.time, qubit, mine.qubit)
            _correct(table, yours.time, yours.qubit, x, z)
            total += overlap(await table.state(yours.time, bob=yours.qubit), psi)
    return _TELEPORTED.exact((2 * fidelity + 1) / 3, total / len(INPUTS), f=fidelity)


async def _imperfect(first: float, second: float, p2: float, eta: float, seed: int) -> Comparison:
    """Swap a batch at an imperfect repeater: a reported bit that is wrong leaves another Bell state."""
    gates = GateConfig(two_fidelity=p2, readout_error_0=1 - eta, readout_error_1=1 - eta)
    async with _row(first, second, gates, seed) as table:
        _, left = await table.pairs("left", PAIRS)
        right, b = await table.pairs("right", PAIRS)
        at = float(max(left.times[-1], right.times[-1]))
        x, z = await table.nodes["charlie"].swap_pairs(at, left.batch, right.batch)
        table.nodes["bob"].correct_pairs(at, b.batch, x, z)
        await table.settle("bob")
        fidelities = await table.oracle.pair_fidelities("bob", b.batch)
    weight = p2 * w(first) * w(second)
    reference = 0.25 + 0.75 * (4 * eta**2 - 1) / 3 * weight
    deviation = (
        weight * eta * sqrt(1 - eta**2)
    )  # (1 + 3 weight)/4 with probability eta^2, else (1 - weight)/4
    measured = float(fidelities.mean())
    return _IMPERFECT.mean(reference, measured, PAIRS, deviation, f1=first, f2=second, p2=p2, eta=eta)


def _plot(comparisons: list[Comparison]) -> Plot:
    curves: list[Curve] = []
    grid = [float(f) for f in np.linspace(FIDELITIES[0], 1, 101)]
    for second in (0.7, 0.9, 1.0):
        points = [
            (c.parameters["f1"], c.measured)
            for c in comparisons
            if c.name == _SWAP.name and c.parameters["f2"] == second
        ]
        xs, ys = zip(*points, strict=True)
        line = tuple(0.25 + 0.75 * w(f) * w(second) for f in grid)
        label = f"F2 = {second:g}"
        curves += [Curve(label, "theory", tuple(grid), line), Curve(label, "measured", xs, ys)]
    return Plot("swapping", "Swapped Werner pairs", "F1", "fidelity of the swapped pair", tuple(curves))
