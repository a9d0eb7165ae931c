"""Bell's and Mermin's inequalities as parties test them: bases turned, outcomes read with errors."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from math import atan, cos, exp, log, pi, sin, sqrt

import numpy as np

from shared_state.config import GateConfig, LinkDevices, MemoryConfig, NodeDevices, WernerSource
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import ROOM, SHORT, Table, laid_out

Errors = tuple[float, float, float, float]
READOUTS = (
    (1.0, (0.0, 0.0, 0.0, 0.0)),
    (0.92, (0.029, 0.029, 0.037, 0.037)),
    (0.9, (0.15, 0.15, 0.05, 0.05)),
    (0.95, (0.2, 0.0, 0.0, 0.1)),
)
"""Fidelity of the pair; errors of a 0 and of a 1 at alice, then at bob."""
SHOTS = 300
"""Of each of the four settings."""
PAIRS = 100_000
TIMES = (0.0, 0.1, 0.3, 0.6, 1.0)

_HORODECKI = "Horodecki et al. 1995; Hensen et al. 2015"
_CHSH = Formula("nonlocality", "S = 2 sqrt(1 + (2F-1)^2) (2 r_A - 1)(2 r_B - 1) + 2 d_A d_B", _HORODECKI)
_CORRELATION = Formula(
    "nonlocality", "equal outcomes: (1 + E (2 r_A - 1)(2 r_B - 1) + d_A d_B)/2", "confusion matrices"
)
_MERMIN = Formula("nonlocality", "GHZ of three, dephased: M = 4 e^(-3t/T2)", "Mermin 1990")


class Readout:
    """The mean readout fidelities r and their asymmetries d = e_1 - e_0 of two parties.

    An outcome's expectation E becomes (2r-1) E + d.
    """

    def __init__(self, errors: Errors) -> None:
        alice0, alice1, bob0, bob1 = errors
        self.factor = (1 - alice0 - alice1) * (1 - bob0 - bob1)
        self.offset = (alice1 - alice0) * (bob1 - bob0)

    def correlation(self, e: float) -> float:
        """Return the correlation that is read when both outcomes alone are fair."""
        return self.factor * e + self.offset


async def nonlocality(seed: int) -> Findings:
    """Test Bell's inequality with pairs measured one by one, and by the thousand; look at GHZ states."""
    findings = Findings()
    for index, (f, errors) in enumerate(READOUTS):
        findings.comparisons.append(await _chsh(f, errors, seed + index))
        findings.comparisons.extend(await _correlations(f, errors, seed + index))
    findings.comparisons.extend(await _mermin(seed))
    findings.plots.append(_plot(findings.comparisons))
    return findings


def _ends(
    errors: Errors, seed: int, source: WernerSource, memory: MemoryConfig
) -> AbstractAsyncContextManager[Table]:
    alice0, alice1, bob0, bob1 = errors
    nodes = {
        "alice": NodeDevices(memory, GateConfig(readout_error_0=alice0, readout_error_1=alice1)),
        "bob": NodeDevices(memory, GateConfig(readout_error_0=bob0, readout_error_1=bob1)),
    }
    return laid_out(nodes, {"link": LinkDevices(("alice", "bob"), SHORT, source)}, seed)


def _dephased_after(f: float) -> float:
    """Return after how many seconds two memories of T2 = 1 s have dephased a Bell pair to fidelity ``f``."""
    return -log(2 * f - 1) / 2 if f < 1 else 0.0


async def _chsh(f: float, errors: Errors, seed: int) -> Comparison:
    """Measure Z and X at alice, and at bob between them: at atan(2F-1) from Z, the best for this pair."""
    alices, angle, v, readout = (0.0, pi / 2), atan(2 * f - 1), 2 * f - 1, Readout(errors)
    s = expected = variance = 0.0
    async with _ends(errors, seed, WernerSource(fidelity=1.0), MemoryConfig(t2=1.0)) as table:
        for one in alices:
            for other in (angle, -angle):
                sign = -1 if one and other < 0 else 1
                total = 0
                for _ in range(SHOTS):
                    total += await _product(table, f, one, other)
                e = readout.correlation(cos(one) * cos(other) + v * sin(one) * sin(other))
                s += sign * total / SHOTS
                expected += sign * e
                variance += 1 - e**2
    reference = 2 * sqrt(1 + v**2) * readout.factor + 2 * readout.offset
    assert abs(expected - reference) < 1e-9
    return _CHSH.mean(reference, s, SHOTS, sqrt(variance), f=f, factor=readout.factor, offset=readout.offset)


async def _product(table: Table, f: float, one: float, other: float) -> int:
    """Return the product of the two outcomes, +1 or -1, of a dephased pair in bases turned from Z towards X."""
    run = table.run()
    mine, yours = await table.pair("link", run=run)
    at = mine.time + _dephased_after(f)
    outcomes = []
    for node, qubit, angle in (("alice", mine.qubit, one), ("bob", yours.qubit, other)):
        table.nodes[node].gate(at, "ry", [qubit], -angle)
        outcomes.append(await table.nodes[node].measure(at, qubit, "Z"))
    return 1 if outcomes[0] == outcomes[1] else -1


async def _correlations(f: float, errors: Errors, seed: int) -> list[Comparison]:
    """Measure Werner pairs in Z, X and Y at both ends."""
    readout, w = Readout(errors), (4 * f - 1) / 3
    found = []
    async with _ends(errors, seed, WernerSource(fidelity=f), ROOM) as table:
        for basis, e in enumerate((w, w, -w)):
            mine, yours = await table.pairs("link", PAIRS, table.run())
            at, bases = float(mine.times[-1]), np.full(PAIRS, basis, dtype=np.uint8)
            a = await table.nodes["alice"].measure_pairs(at, mine.batch, bases)
            b = await table.nodes["bob"].measure_pairs(at, yours.batch, bases)
            reference = (1 + readout.correlation(e)) / 2
            equal = int((a == b).sum())
            found.append(
                _CORRELATION.share(reference, equal, PAIRS, e=e, factor=readout.factor, offset=readout.offset)
            )
    return found


async def _mermin(seed: int) -> list[Comparison]:
    """Make GHZ states of three in one node, let them dephase, and look at XXX, XYY, YXY and YYX."""
    found = []
    paulis = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]]])
    x, y = paulis
    async with laid_out({"alice": NodeDevices(MemoryConfig(t2=1.0))}, {}, seed) as table:
        alice = table.nodes["alice"]
        for t in TIMES:
            run = table.run()
            qubits = [await alice.qubit(0.0, run) for _ in range(3)]
            alice.gate(0.0, "h", qubits[:1])
            for target in qubits[1:]:
                alice.gate(0.0, "cnot", [qubits[0], target])
            await alice.hand_over(t, qubits)
            rho = await table.oracle.density_matrix(qubits)
            m = sum(
                sign * np.trace(rho @ np.kron(np.kron(a, b), c)).real
                for sign, a, b, c in ((1, x, x, x), (-1, x, y, y), (-1, y, x, y), (-1, y, y, x))
            )
            found.append(_MERMIN.exact(4 * exp(-3 * t), m, t=t))
    return found


def _plot(comparisons: list[Comparison]) -> Plot:
    points = [(c.reference, c.measured) for c in comparisons if c.name == _CHSH.name]
    xs, ys = zip(*points, strict=True)
    curves = (
        Curve("sampled S", "theory", (0.0, 3.0), (0.0, 3.0)),
        Curve("sampled S", "measured", xs, ys),
        Curve("local hidden variables", "theory", (0.0, 3.0), (2.0, 2.0)),
    )
    title = "Bell's inequality with readouts that err"
    return Plot("nonlocality", title, "S by the closed form", "S from outcomes", curves)
