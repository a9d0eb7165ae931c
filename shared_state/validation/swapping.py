"""Entanglement swapping, teleportation and superdense coding."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from shared_state.config import (
    DoubleClickSource,
    GateConfig,
    LinkDevices,
    NodeDevices,
    SourceConfig,
    WernerSource,
)
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import ROOM, SHORT, Table, laid_out, overlap

FIDELITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
IMPERFECT = ((0.93, 0.9, 0.97, 0.985), (0.95, 0.95, 0.9, 0.99), (1.0, 1.0, 0.95, 0.9), (0.8, 0.97, 1.0, 0.95))
"""F1 and F2 of the pairs, two-qubit gate quality p2 and readout fidelity eta of the repeater."""
DIAGONAL = ((0.8, 0.9, 0.97, 0.985), (0.5, 1.0, 0.9, 0.95), (0.9, 0.7, 1.0, 0.9), (0.95, 0.95, 0.98, 0.98))
"""Visibility of the left pairs, by double click, F of the right ones, Werner, and p2 and eta of the repeater."""
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
_DIAGONAL = Formula(
    "swapping",
    "Bell-diagonal pairs: g [m^2 c_I + m (1-m)(c_X + c_Z) + (1-m)^2 c_Y] + (1-g)/4",
    "Wu et al. 2021 (SeQUeNCe)",
)
_TELEPORTED = Formula("swapping", "teleportation of six states: (2F+1)/3", "Horodecki et al. 1999")

_DENSE = Formula("swapping", "superdense coding of four messages: P(right) = F", "Bennett and Wiesner 1992")


def w(fidelity: float) -> float:
    """Return the weight (4F-1)/3 of Phi+ in a Werner pair."""
    return (4 * fidelity - 1) / 3


async def swapping(seed: int) -> Findings:
    """Swap pairs one by one and in batches; teleport the six eigenstates of the Pauli operators."""
    findings = Findings()
    for first in FIDELITIES:
        findings.comparisons.append(await _teleport(first, seed))
        findings.comparisons.extend(await _dense(first, seed))
        for second in FIDELITIES:
            async with _row(first, second, GateConfig(), seed) as table:
                measured = await _swap(table)
            reference = first * second + (1 - first) * (1 - second) / 3
            findings.comparisons.append(_SWAP.exact(reference, measured, f1=first, f2=second))
    for setting in IMPERFECT:
        findings.comparisons.append(await _imperfect(*setting, seed))
    for setting in DIAGONAL:
        findings.comparisons.append(await _bell_diagonal(*setting, seed))
    findings.plots.append(_plot(findings.comparisons))
    return findings


def _row(first: float, second: float, gates: GateConfig, seed: int) -> AbstractAsyncContextManager[Table]:
    return _repeater(WernerSource(fidelity=first), WernerSource(fidelity=second), gates, seed)


def _repeater(
    left: SourceConfig, right: SourceConfig, gates: GateConfig, seed: int
) -> AbstractAsyncContextManager[Table]:
    nodes = {"alice": NodeDevices(ROOM), "charlie": NodeDevices(ROOM, gates), "bob": NodeDevices(ROOM)}
    links = {
        "left": LinkDevices(("alice", "charlie"), SHORT, left),
        "right": LinkDevices(("charlie", "bob"), SHORT, right),
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


async def _dense(fidelity: float, seed: int) -> list[Comparison]:
    """Let alice encode two bits in her half and send it; look at what bob will measure in the Bell basis."""
    found = []
    link = LinkDevices(("alice", "bob"), SHORT, WernerSource(fidelity=fidelity))
    async with laid_out({"alice": NodeDevices(), "bob": NodeDevices()}, {"link": link}, seed) as table:
        alice, bob = table.nodes["alice"], table.nodes["bob"]
        for x in (0, 1):
            for z in (0, 1):
                run = table.run()
                mine, yours = await table.pair("link", run=run)
                for name, bit in (("z", z), ("x", x)):
                    if bit:
                        alice.gate(mine.time, name, [mine.qubit])
                await alice.transmit(mine.time, run, "link", mine.qubit)
                sent = await bob.receive(yours.time, run, "link")
                assert sent.qubit is not None
                pair = [sent.qubit, yours.qubit]
                await bob.hand_over(sent.time, pair)
                right = np.zeros(4, dtype=np.complex128)
                right[2 * x], right[3 - 2 * x] = sqrt(0.5), (-1) ** z * sqrt(0.5)
                p = overlap(await table.oracle.density_matrix(pair), right)
                found.append(_DENSE.exact(fidelity, p, f=fidelity, x=x, z=z))
    return found


async def _imperfect(first: float, second: float, p2: float, eta: float, seed: int) -> Comparison:
    """Swap a batch at an imperfect repeater: a reported bit that is wrong leaves another Bell state."""
    gates = GateConfig(two_fidelity=p2, readout_error_0=1 - eta, readout_error_1=1 - eta)
    async with _row(first, second, gates, seed) as table:
        fidelities = await _swap_batch(table)
    weight = p2 * w(first) * w(second)
    reference = 0.25 + 0.75 * (4 * eta**2 - 1) / 3 * weight
    deviation = (
        weight * eta * sqrt(1 - eta**2)
    )  # (1 + 3 weight)/4 with probability eta^2, else (1 - weight)/4
    measured = float(fidelities.mean())
    return _IMPERFECT.mean(reference, measured, PAIRS, deviation, f1=first, f2=second, p2=p2, eta=eta)


async def _swap_batch(table: Table) -> NDArray[np.float64]:
    """Swap a batch at charlie and correct it at bob by what charlie reports; return each pair's fidelity."""
    _, left = await table.pairs("left", PAIRS)
    right, b = await table.pairs("right", PAIRS)
    at = float(max(left.times[-1], right.times[-1]))
    x, z = await table.nodes["charlie"].swap_pairs(at, left.batch, right.batch)
    table.nodes["bob"].correct_pairs(at, b.batch, x, z)
    await table.settle("bob")
    return await table.oracle.pair_fidelities("bob", b.batch)


async def _bell_diagonal(v: float, second: float, p2: float, m: float, seed: int) -> Comparison:
    """Swap dephased pairs with Werner pairs. Weights in the order I, Z, X, Y, in which Paulis multiply like bits."""
    q = (1 - second) / 3
    first, other = ((1 + v) / 2, (1 - v) / 2, 0.0, 0.0), (second, q, q, q)
    c = [sum(first[i] * other[i ^ k] for i in range(4)) for k in range(4)]
    chances = (m * m, m * (1 - m), m * (1 - m), (1 - m) ** 2)
    values = [p2 * weight + (1 - p2) / 4 for weight in c]
    reference = sum(chance * value for chance, value in zip(chances, values, strict=True))
    spread = sum(chance * (value - reference) ** 2 for chance, value in zip(chances, values, strict=True))
    gates = GateConfig(two_fidelity=p2, readout_error_0=1 - m, readout_error_1=1 - m)
    left, right = DoubleClickSource(visibility=v), WernerSource(fidelity=second)
    async with _repeater(left, right, gates, seed) as table:
        measured = float((await _swap_batch(table)).mean())
    return _DIAGONAL.mean(reference, measured, PAIRS, sqrt(spread), visibility=v, f2=second, p2=p2, m=m)


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
