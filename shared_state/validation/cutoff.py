"""Cut-offs: who waits too long begins anew, so pairs are better and rarer."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from shared_state.config import (
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PhotonPairSource,
    SourceConfig,
    WernerSource,
)
from shared_state.errors import QubitExpired
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import SHORT, Table, laid_out, overlap

SHARES = (0.0, 0.3, 0.7, 0.999, 1.001, 1.5, 4.0)
"""Storage times in units of the cut-off."""
CUTOFF = 0.2
SETTINGS = ((0.1, 1), (0.1, 3), (0.1, 10), (0.1, 30), (0.3, 1), (0.3, 4), (0.01, 400))
"""Success probability p of an attempt, and the cut-off in attempts."""
LENGTHS_KM = (1.0, 20.0, 100.0)
"""Of the fibre that brings the news."""
MARGIN = 1e-3
"""By this share of the light's time the news is early or late."""
RACES = 500
CYCLE = 1e-6
FIDELITY = 0.95
DECAY = 0.01
"""Cycle by depolarising time of the repeater's memory."""

_EXPIRED = Formula("cutoff", "kept for t: all before the cut-off, none after it", "Collins et al. 2007")
_KEPT = Formula("cutoff", "F of what is kept: (1 + e^(-2t/T2))/2", "Lindblad 1976")
_TOLD = Formula("cutoff", "the holder of the other half is told", "Rozpędek et al. 2018")
_LATER = Formula(
    "cutoff", "told at the cut-off and the light's time L/v, not before", "no signal beyond light"
)
_ROW = Formula(
    "cutoff", "swap with a new pair after one has expired: 1/4 + 3/4 w^2 x", "Rozpędek et al. 2018"
)
_LI = "Collins et al. 2007; Li, Coopmans and Elkouss 2021"
_SHARE = Formula("cutoff", "two links, cut-off of m attempts: share that meets", _LI)
_ROUNDS = Formula("cutoff", "two links, cut-off of m attempts: mean rounds per swap", _LI)
_QUALITY = Formula("cutoff", "two links, cut-off of m attempts: mean fidelity of the swap", _LI)


@dataclass(frozen=True, slots=True)
class Race:
    """Two links that attempt in step, each with probability ``p``, and wait at most ``m`` attempts for each other.

    D = |t1 - t2| and min(t1, t2) are independent: P(D=0) = p/(2-p), P(D=k) = 2 p q^k/(2-p), q = 1-p.
    """

    p: float
    m: int

    def share(self) -> float:
        """Return P(D <= m)."""
        q = 1 - self.p
        return (self.p + 2 * q * (1 - q**self.m)) / (2 - self.p)

    def moment(self, x: float) -> float:
        """Return E[x^D | D <= m]."""
        qx = (1 - self.p) * x
        return self.p / (2 - self.p) * (1 + 2 * qx * (1 - qx**self.m) / (1 - qx)) / self.share()

    def rounds(self) -> float:
        """Return the mean rounds until both meet: those of a race, min(t1, t2) + min(D, m), over P(D <= m)."""
        q = 1 - self.p
        return (1 + 2 * q * (1 - q**self.m)) / (self.p * (2 - self.p)) / self.share()

    def rounds_deviation(self) -> float:
        """Return the standard deviation, per race, of all rounds over all successes (delta method)."""
        both, share, mean = self.p * (2 - self.p), self.share(), self.rounds()
        k = np.arange(1, self.m + 1)
        law = np.append(self.p, 2 * self.p * (1 - self.p) ** k) / (2 - self.p)
        waited, met = np.append(np.arange(self.m + 1), self.m), np.append(np.ones(self.m + 1), 0.0)
        law = np.append(law, 1 - share)
        net = waited - mean * met
        return sqrt((1 - both) / both**2 + float(law @ net**2) - float(law @ net) ** 2) / share


def end_fidelity(decayed: float) -> float:
    """Return the fidelity of a swap of two Werner pairs, of which one half was depolarised by this factor."""
    return 0.25 + 0.75 * ((4 * FIDELITY - 1) / 3) ** 2 * decayed


async def cutoff(seed: int) -> Findings:
    """Keep pairs for longer and longer; swap across two links that wait for each other, but not for ever."""
    findings = Findings()
    findings.comparisons.extend(await _one_pair(seed))
    for km in LENGTHS_KM:
        findings.comparisons.extend(await _news(km, seed))
    findings.comparisons.extend(await _three_nodes(seed))
    for index, (p, m) in enumerate(SETTINGS):
        findings.comparisons.extend(await _races(Race(p, m), seed + index))
    for formula, title, label in (
        (_QUALITY, "Two links with a cut-off: fidelity", "fidelity from end to end"),
        (_ROUNDS, "Two links with a cut-off: time", "rounds per swap"),
    ):
        findings.plots.append(_plot(formula, title, label, findings.comparisons))
    return findings


async def _one_pair(seed: int) -> list[Comparison]:
    """Alice's memory has a cut-off, Bob's has none."""
    nodes = {
        "alice": NodeDevices(MemoryConfig(t2=1.0, cutoff=CUTOFF)),
        "bob": NodeDevices(MemoryConfig(t2=1.0)),
    }
    found: list[Comparison] = []
    async with laid_out(nodes, {"link": LinkDevices(("alice", "bob"), SHORT)}, seed) as table:
        for share in SHARES:
            one, other = await table.pair("link", run=table.run())
            t, kept, told = share * CUTOFF, 0, 0
            try:
                rho = await table.state(one.time + t, alice=one.qubit, bob=other.qubit)
                kept = 1
                found.append(_KEPT.exact((1 + exp(-2 * t)) / 2, overlap(rho), t=t, cutoff=CUTOFF))
            except QubitExpired:
                try:
                    await table.nodes["bob"].measure(one.time + t, other.qubit, "Z")
                except QubitExpired:
                    told = 1
                found.append(_TOLD.exact(1, told, t=t, cutoff=CUTOFF))
            found.append(_EXPIRED.exact(float(share <= 1), kept, t=t, cutoff=CUTOFF))
    return found


async def _news(km: float, seed: int) -> list[Comparison]:
    """Let Alice's half expire far away from Bob, who touches his just before light from there arrives, or after."""
    nodes = {"alice": NodeDevices(MemoryConfig(cutoff=CUTOFF)), "bob": NodeDevices()}
    found: list[Comparison] = []
    delay = km * 1000 / 2.0e8
    link = LinkDevices(("alice", "bob"), FibreConfig(km * 1000), WernerSource())
    async with laid_out(nodes, {"link": link}, seed) as table:
        for sign in (-1, 1):
            one, other = await table.pair("link", run=table.run())
            expired = one.time + CUTOFF
            with suppress(QubitExpired):
                await table.nodes["alice"].measure(expired + delay, one.qubit, "Z")
            told = 0
            try:
                await table.nodes["bob"].measure(expired + (1 + sign * MARGIN) * delay, other.qubit, "Z")
            except QubitExpired:
                told = 1
            found.append(_LATER.exact(float(sign > 0), told, km=km, delays=1 + sign * MARGIN))
    return found


async def _three_nodes(seed: int) -> list[Comparison]:
    """Let the left pair of a repeater expire beside the right one, which outlives it; make a new one and swap."""
    found: list[Comparison] = []
    memory = MemoryConfig(depolarising_time=1.0, cutoff=CUTOFF)
    async with _repeater(memory, WernerSource(fidelity=FIDELITY), seed) as table:
        charlie = table.nodes["charlie"]
        for share in (0.1, 0.5, 0.9):
            run = table.run()
            late, left = await table.pair("left", 0.0, run)
            right, b = await table.pair("right", left.time + (1.1 - share) * CUTOFF, run)
            at, told = right.time + share * CUTOFF, 0
            try:
                await charlie.bell_measure(at, left.qubit, right.qubit)
            except QubitExpired:
                try:
                    await table.nodes["alice"].measure(at, late.qubit, "Z")
                except QubitExpired:
                    told = 1
            found.append(_TOLD.exact(1, told, waited=1.1 * CUTOFF, cutoff=CUTOFF))
            a, left = await table.pair("left", at, run)
            measured = await _swap(table, max(at, left.time), (a.qubit, left.qubit, right.qubit, b.qubit))
            decayed = exp(-(max(at, left.time) - right.time))
            found.append(_ROW.exact(end_fidelity(decayed), measured, waited=share * CUTOFF, cutoff=CUTOFF))
    return found


def _repeater(memory: MemoryConfig, source: SourceConfig, seed: int) -> AbstractAsyncContextManager[Table]:
    nodes = {"alice": NodeDevices(), "charlie": NodeDevices(memory), "bob": NodeDevices()}
    links = {
        "left": LinkDevices(("alice", "charlie"), SHORT, source),
        "right": LinkDevices(("charlie", "bob"), SHORT, source),
    }
    return laid_out(nodes, links, seed)


async def _swap(table: Table, at: float, qubits: tuple[int, int, int, int]) -> float:
    """Return the fidelity from end to end of alice's half, charlie's two and bob's. Raises QubitExpired."""
    a, left, right, b = qubits
    x, z = await table.nodes["charlie"].bell_measure(at, left, right)
    for name, needed in (("x", x), ("z", z)):
        if needed:
            table.nodes["bob"].gate(at, name, [b])
    return overlap(await table.state(at, alice=a, bob=b))


async def _races(race: Race, seed: int) -> list[Comparison]:
    """Let both links begin together; when one has waited too long, both begin anew."""
    source = PhotonPairSource(attempt_rate=1 / CYCLE, emission=(race.p, 1.0), fidelity=FIDELITY)
    memory = MemoryConfig(depolarising_time=CYCLE / DECAY, cutoff=(race.m + 0.5) * CYCLE)
    rounds, fidelities = 0, []
    async with _repeater(memory, source, seed) as table:
        for _ in range(RACES):
            run = table.run()
            a, left = await table.pair("left", 0.0, run)
            right, b = await table.pair("right", 0.0, run)
            late, early = max(left.time, right.time), min(left.time, right.time)
            with suppress(QubitExpired):
                fidelities.append(await _swap(table, late, (a.qubit, left.qubit, right.qubit, b.qubit)))
            waited = min(round((late - early) / CYCLE), race.m)
            rounds += round(early / CYCLE) + 1 + waited
            for node in table.nodes.values():
                await node.close_run(run)
    met, x, given = len(fidelities), exp(-DECAY), {"p": race.p, "m": float(race.m)}
    spread = 0.75 * ((4 * FIDELITY - 1) / 3) ** 2 * sqrt(race.moment(x * x) - race.moment(x) ** 2)
    return [
        _SHARE.share(race.share(), met, RACES, **given),
        _ROUNDS.mean(race.rounds(), rounds / met, RACES, race.rounds_deviation(), **given),
        _QUALITY.mean(end_fidelity(race.moment(x)), float(np.mean(fidelities)), met, spread, **given),
    ]


def _plot(formula: Formula, title: str, y_label: str, comparisons: list[Comparison]) -> Plot:
    curves: list[Curve] = []
    grid = range(1, 41)
    for p in (0.1, 0.3):
        points = [
            (c.parameters["m"], c.measured)
            for c in comparisons
            if c.name == formula.name and c.parameters["p"] == p
        ]
        xs, ys = zip(*points, strict=True)
        races = [Race(p, m) for m in grid]
        if formula is _QUALITY:
            line = tuple(end_fidelity(race.moment(exp(-DECAY))) for race in races)
        else:
            line = tuple(race.rounds() for race in races)
        label = f"p = {p:g}"
        curves += [Curve(label, "theory", tuple(map(float, grid)), line), Curve(label, "measured", xs, ys)]
    name = "cutoff-fidelity" if formula is _QUALITY else "cutoff-rounds"
    return Plot(name, title, "cut-off (attempts)", y_label, tuple(curves))
