"""Purification: two pairs become one that is better, with luck."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from math import exp, inf, pi
from typing import NamedTuple

import numpy as np

from shared_state.config import GateConfig, LinkDevices, MemoryConfig, NodeDevices, WernerSource
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import PHI_PLUS, SHORT, Table, laid_out, overlap

FIDELITIES = (0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
NOISY = ((0.97, 0.98), (1.0, 0.95), (0.9, 1.0), (0.8, 0.9))
"""Quality of each CNOT and fidelity of each readout."""
ROUNDS = (1, 2, 3)
TIMES = (0.0, 0.2, 0.5)
TRIALS = 400

_BENNETT = "Bennett et al., PRL 76, 722, 1996"
_DEUTSCH = "Deutsch et al., PRL 77, 2818, 1996"
_P = Formula("purification", "probability of equal outcomes, noisy BBPSSW", _BENNETT)
_F = Formula("purification", "fidelity after equal outcomes, noisy BBPSSW", _BENNETT)
_SEEN = Formula("purification", "share of equal outcomes, noisy BBPSSW", _BENNETT)
_DEJMPS_P = Formula("purification", "DEJMPS on dephased pairs: probability of equal outcomes", _DEUTSCH)
_DEJMPS_F = Formula("purification", "DEJMPS on dephased pairs: fidelity", _DEUTSCH)
_ROUNDS = Formula("purification", "DEJMPS: fidelity after several rounds", _DEUTSCH)


class BellDiagonal(NamedTuple):
    """The weights of Phi+, Psi-, Psi+ and Phi-."""

    phi_plus: float
    psi_minus: float
    psi_plus: float
    phi_minus: float


class Half(NamedTuple):
    """Alice's and Bob's qubit of a pair, and when both are there."""

    alice: int
    bob: int
    time: float


def werner(f: float) -> BellDiagonal:
    """Return the weights of a Werner pair."""
    q = (1 - f) / 3
    return BellDiagonal(f, q, q, q)


def dejmps(pair: BellDiagonal) -> tuple[float, BellDiagonal]:
    """Return the success probability and the weights that two such pairs become."""
    a, b, c, d = pair
    n = (a + b) ** 2 + (c + d) ** 2
    return n, BellDiagonal((a * a + b * b) / n, 2 * c * d / n, (c * c + d * d) / n, 2 * a * b / n)


def noisy_bbpssw(f: float, gate: float, readout: float) -> tuple[float, float]:
    """Return the success probability and fidelity with imperfect CNOTs and readouts at both ends.

    With probability g^2 both CNOTs are perfect, else all is I/16; two readouts are both right or both wrong with
    probability r = m^2 + (1-m)^2.
    """
    q, good = (1 - f) / 3, gate**2
    right = readout**2 + (1 - readout) ** 2
    equal = f**2 + 2 * f * q + 5 * q**2
    success = good * (right * equal + (1 - right) * (1 - equal)) + (1 - good) / 2
    kept = good * (right * (f**2 + q**2) + (1 - right) * (f * q + q**2)) + (1 - good) / 8
    return success, kept / success


async def purification(seed: int) -> Findings:
    """Purify Werner pairs with perfect and imperfect devices, and dephased pairs; go several rounds."""
    findings = Findings()
    for f in FIDELITIES:
        for gate, readout in ((1.0, 1.0), *NOISY):
            findings.comparisons.extend(await _bbpssw(f, gate, readout, seed))
        for time in TIMES:
            findings.comparisons.extend(await _dephased(f, time, seed))
        for rounds in ROUNDS:
            findings.comparisons.append(await _several(f, rounds, seed))
    for gate, readout in NOISY:
        findings.comparisons.append(await _sampled(0.8, gate, readout, seed))
    findings.plots.append(_plot(findings.comparisons))
    return findings


def _ends(
    f: float, seed: int, gates: GateConfig | None = None, t2: float = inf
) -> AbstractAsyncContextManager[Table]:
    node = NodeDevices(MemoryConfig(t2=t2), gates or GateConfig())
    link = LinkDevices(("alice", "bob"), SHORT, WernerSource(fidelity=f))
    return laid_out({"alice": node, "bob": node}, {"link": link}, seed)


async def _pair(table: Table, at: float, run: str) -> Half:
    one, other = await table.pair("link", at, run)
    return Half(one.qubit, other.qubit, one.time)


def _cnots(table: Table, at: float, kept: Half, spent: Half, *, turned: bool) -> None:
    for name, control, target in (("alice", kept.alice, spent.alice), ("bob", kept.bob, spent.bob)):
        node = table.nodes[name]
        if turned:
            for qubit in (control, target):
                node.gate(at, "rx", [qubit], pi / 2 if name == "alice" else -pi / 2)
        node.gate(at, "cnot", [control, target])


async def _equal(table: Table, at: float, spent: Half) -> bool:
    alice, bob = table.nodes["alice"], table.nodes["bob"]
    return await alice.measure(at, spent.alice, "Z") == await bob.measure(at, spent.bob, "Z")


async def _before_readout(table: Table, kept: Half, spent: Half, readout: float) -> tuple[float, float]:
    """Return the probability that both ends report the same bit, and the fidelity of the pair kept then."""
    rho = await table.oracle.density_matrix([kept.alice, kept.bob, spent.alice, spent.bob])
    blocks = np.einsum(
        "ikjk->kij", rho.reshape(4, 4, 4, 4)
    )  # the pair kept, for each outcome at the two ends
    right = readout**2 + (1 - readout) ** 2
    state = right * (blocks[0] + blocks[3]) + (1 - right) * (blocks[1] + blocks[2])
    success = float(np.trace(state).real)
    return success, overlap(state, PHI_PLUS) / success


async def _bbpssw(f: float, gate: float, readout: float, seed: int) -> list[Comparison]:
    async with _ends(f, seed, GateConfig(two_fidelity=gate)) as table:
        kept = await _pair(table, 0.0, "run")
        spent = await _pair(table, kept.time, "run")
        _cnots(table, spent.time, kept, spent, turned=False)
        await table.settle("alice", "bob")
        p, fidelity = await _before_readout(table, kept, spent, readout)
    expected_p, expected_f = noisy_bbpssw(f, gate, readout)
    given = {"f": f, "gate": gate, "readout": readout}
    return [_P.exact(expected_p, p, **given), _F.exact(expected_f, fidelity, **given)]


async def _sampled(f: float, gate: float, readout: float, seed: int) -> Comparison:
    gates = GateConfig(two_fidelity=gate, readout_error_0=1 - readout, readout_error_1=1 - readout)
    successes = 0
    async with _ends(f, seed, gates) as table:
        for _ in range(TRIALS):
            run = table.run()
            kept = await _pair(table, 0.0, run)
            spent = await _pair(table, kept.time, run)
            _cnots(table, spent.time, kept, spent, turned=False)
            successes += await _equal(table, spent.time, spent)
            await table.nodes["alice"].discard(spent.time, kept.alice)
            await table.nodes["bob"].discard(spent.time, kept.bob)
    expected, _ = noisy_bbpssw(f, gate, readout)
    return _SEEN.share(expected, successes, TRIALS, f=f, gate=gate, readout=readout)


async def _dephased(f: float, time: float, seed: int) -> list[Comparison]:
    async with _ends(f, seed, t2=1.0) as table:
        kept, spent = await _pair(table, 0.0, "run"), await _pair(table, 0.0, "other")
        # each pair ages by the same time from its own delivery, and is turned then; no more aging after that
        at = max(kept.time, spent.time) + time
        _cnots(table, at, kept, spent, turned=True)
        await table.settle("alice", "bob")
        p, fidelity = await _before_readout(table, kept, spent, 1.0)
    (a, b, c, d), (e, g, h, i) = (_aged(f, at - pair.time) for pair in (kept, spent))
    expected_p = (a + b) * (e + g) + (c + d) * (h + i)
    given = {"f": f, "age_kept": at - kept.time, "age_spent": at - spent.time}
    return [
        _DEJMPS_P.exact(expected_p, p, **given),
        _DEJMPS_F.exact((a * e + b * g) / expected_p, fidelity, **given),
    ]


def _aged(f: float, time: float) -> BellDiagonal:
    """Return a Werner pair dephased with T2 = 1 s at both ends."""
    a, b, c, d = werner(f)
    coherence = exp(-2 * time)
    mean, half = (a + d) / 2, coherence * (a - d) / 2
    return BellDiagonal(mean + half, b, c, mean - half)


async def _several(f: float, rounds: int, seed: int) -> Comparison:
    async with _ends(f, seed) as table:
        pair = await _distil(table, rounds, 0.0)
        rho = await table.state(pair.time, alice=pair.alice, bob=pair.bob)
    expected = werner(f)
    for _ in range(rounds):
        _, expected = dejmps(expected)
    return _ROUNDS.exact(expected.phi_plus, overlap(rho), f=f, rounds=rounds)


async def _distil(table: Table, rounds: int, at: float) -> Half:
    """Return a pair that has gone through so many successful rounds; after a failure begin anew."""
    if rounds == 0:
        return await _pair(table, at, "run")
    while True:
        kept = await _distil(table, rounds - 1, at)
        spent = await _distil(table, rounds - 1, kept.time)
        at = spent.time
        _cnots(table, at, kept, spent, turned=True)
        if await _equal(table, at, spent):
            return kept._replace(time=at)
        await table.nodes["alice"].discard(at, kept.alice)
        await table.nodes["bob"].discard(at, kept.bob)


def _plot(comparisons: list[Comparison]) -> Plot:
    curves: list[Curve] = []
    grid = [float(f) for f in np.linspace(FIDELITIES[0], 1, 101)]
    for rounds in ROUNDS:
        line = []
        for f in grid:
            pair = werner(f)
            for _ in range(rounds):
                _, pair = dejmps(pair)
            line.append(pair.phi_plus)
        points = [
            (c.parameters["f"], c.measured)
            for c in comparisons
            if c.name == _ROUNDS.name and c.parameters["rounds"] == rounds
        ]
        xs, ys = zip(*points, strict=True)
        label = f"{rounds} rounds" if rounds > 1 else "1 round"
        curves += [
            Curve(label, "theory", tuple(grid), tuple(line)),
            Curve(label, "measured", xs, ys),
        ]
    return Plot(
        "purification", "Purification of Werner pairs", "fidelity before", "fidelity after", tuple(curves)
    )
