"""Imperfect operations: gates, initialisation, moves to storage, readout."""

from __future__ import annotations

from math import sqrt

import numpy as np

from shared_state.config import GateConfig, LinkDevices, MemoryConfig, NodeDevices, WernerSource
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import PHI_PLUS, ROOM, SHORT, Table, laid_out, overlap

QUALITIES = (1.0, 0.999, 0.99, 0.98, 0.97, 0.95, 0.9, 0.8)
GATES_IN_A_ROW = (1, 2, 5, 10)
ERRORS = ((0.0, 0.0, 0.0, 0.0), (0.05, 0.005, 0.05, 0.005), (0.07, 0.005, 0.01, 0.02), (0.0, 0.2, 0.3, 0.0))
"""Readout errors of 0 and of 1 at alice, then at bob."""
PAIRS = 100_000

_NIELSEN = "entanglement fidelity, Nielsen and Chuang, ch. 8"
_SINGLE = Formula("operations", "k one-qubit gates: 1/4 + 3/4 (1 - 4(1-F)/3)^k", _NIELSEN)
_JOINT = Formula(
    "operations", "CNOT makes a Bell pair: g + (1-g)/4", "Briegel, Dür, Cirac and Zoller, PRL 81, 5932, 1998"
)
_EACH = Formula(
    "operations", "CNOT, noise on each: 1/4 + 3/4 (1-p)^2, F = (1-3p/4)^2", "Coopmans et al. 2021"
)
_MOVE = Formula("operations", "half of a Bell pair moved to storage: 1 - 3(1-g)/4", _JOINT.source)
_MADE = Formula("operations", "initialisation: <0|rho|0> = F", "Coopmans et al. 2021")
_READOUT = Formula(
    "operations", "readout errors: P(ab) of a Bell pair", "confusion matrices of two detectors"
)


async def operations(seed: int) -> Findings:
    """Apply gates of many qualities; read Bell pairs with many detectors."""
    findings = Findings()
    for quality in QUALITIES:
        findings.comparisons.extend(await _of_quality(quality, seed))
    for errors in ERRORS:
        findings.comparisons.extend(await _of_readout(errors, seed))
    findings.plots.append(_plot(findings.comparisons))
    return findings


async def _of_quality(f: float, seed: int) -> list[Comparison]:
    joint = GateConfig(single_fidelity=f)
    ideal = NodeDevices()
    found: list[Comparison] = []
    nodes = {
        "alice": NodeDevices(gates=joint, memories=MemoryConfig(initialisation_fidelity=f)),
        "joint": NodeDevices(gates=GateConfig(two_fidelity=f), storage=MemoryConfig()),
        "each": NodeDevices(gates=GateConfig(two_fidelity=f, two_qubit_noise="each")),
        "bob": ideal,
    }
    links = {
        name: LinkDevices((name, "bob"), SHORT, WernerSource(fidelity=1.0)) for name in ("alice", "joint")
    }
    async with laid_out(nodes, links, seed) as table:
        for k in GATES_IN_A_ROW:
            reference = 0.25 + 0.75 * (1 - 4 * (1 - f) / 3) ** k
            found.append(_SINGLE.exact(reference, await _gates_in_a_row(table, k), f=f, k=k))
        p = 4 * (1 - sqrt(f)) / 3
        found.append(_JOINT.exact(f + (1 - f) / 4, await _bell_pair(table, "joint"), g=f))
        found.append(_EACH.exact(0.25 + 0.75 * (1 - p) ** 2, await _bell_pair(table, "each"), f=f))
        found.append(_MOVE.exact(1 - 0.75 * (1 - f), await _moved(table), g=f))
        made = await table.nodes["alice"].qubit(0.0, table.run())
        found.append(_MADE.exact(f, float((await table.state(0.0, alice=made))[0, 0].real), f=f))
    return found


async def _gates_in_a_row(table: Table, k: int) -> float:
    """Return the fidelity of a Bell pair of which one half has gone through k gates that together do nothing."""
    one, other = await table.pair("alice", run=table.run())
    for _ in range(k):
        table.nodes["alice"].gate(one.time, "rx", [one.qubit], 2 * np.pi / k)
    return overlap(await table.state(one.time, alice=one.qubit, bob=other.qubit))


async def _bell_pair(table: Table, node: str) -> float:
    client, run = table.nodes[node], table.run()
    qubits = [await client.qubit(0.0, run), await client.qubit(0.0, run)]
    client.gate(0.0, "h", qubits[:1])
    client.gate(0.0, "cnot", qubits)
    await client.hand_over(0.0, qubits)
    return overlap(await table.oracle.density_matrix(qubits), PHI_PLUS)


async def _moved(table: Table) -> float:
    one, other = await table.pair("joint", run=table.run())
    await table.nodes["joint"].store(one.time, one.qubit)
    return overlap(await table.state(one.time, joint=one.qubit, bob=other.qubit))


async def _of_readout(errors: tuple[float, float, float, float], seed: int) -> list[Comparison]:
    alice0, alice1, bob0, bob1 = errors
    nodes = {
        "alice": NodeDevices(ROOM, GateConfig(readout_error_0=alice0, readout_error_1=alice1)),
        "bob": NodeDevices(ROOM, GateConfig(readout_error_0=bob0, readout_error_1=bob1)),
    }
    given = {"alice_0": alice0, "alice_1": alice1, "bob_0": bob0, "bob_1": bob1}
    seen_by_alice = np.array([[1 - alice0, alice0], [alice1, 1 - alice1]])
    seen_by_bob = np.array([[1 - bob0, bob0], [bob1, 1 - bob1]])
    expected = seen_by_alice.T @ np.diag([0.5, 0.5]) @ seen_by_bob
    async with laid_out(nodes, {"link": LinkDevices(("alice", "bob"), SHORT)}, seed) as table:
        one, other = await table.pairs("link", PAIRS)
        at, bases = float(one.times[-1]), np.zeros(PAIRS, dtype=np.uint8)
        a = await table.nodes["alice"].measure_pairs(at, one.batch, bases)
        b = await table.nodes["bob"].measure_pairs(at, other.batch, bases)
    return [
        _READOUT.share(float(expected[i, j]), int(((a == i) & (b == j)).sum()), PAIRS, a=i, b=j, **given)
        for i in (0, 1)
        for j in (0, 1)
    ]


def _plot(comparisons: list[Comparison]) -> Plot:
    curves: list[Curve] = []
    for k in GATES_IN_A_ROW:
        points = sorted(
            (c.parameters["f"], c.measured)
            for c in comparisons
            if c.name == _SINGLE.name and c.parameters["k"] == k
        )
        xs, ys = zip(*points, strict=True)
        label = f"{k} gate" + ("s" if k > 1 else "")
        grid = [float(x) for x in np.linspace(min(QUALITIES), 1, 101)]
        line = tuple(0.25 + 0.75 * (1 - 4 * (1 - f) / 3) ** k for f in grid)
        curves += [Curve(label, "theory", tuple(grid), line), Curve(label, "measured", xs, ys)]
    return Plot(
        "operations",
        "A Bell pair after gates on one half",
        "fidelity of each gate",
        "fidelity with Phi+",
        tuple(curves),
    )
