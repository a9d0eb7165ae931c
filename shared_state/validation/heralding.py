"""Heralded entanglement: how often an attempt succeeds, and in which state."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import exp, sqrt
from typing import NamedTuple

import numpy as np

from shared_state.config import (
    DoubleClickSource,
    FibreConfig,
    LinkDevices,
    NodeDevices,
    PhotonPairSource,
    SingleClickSource,
    SourceConfig,
)
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import ROOM, laid_out, overlap
from shared_state.world.heralding import scheme_of
from shared_state.world.schemes.scheme import Trials

FIBRE = FibreConfig(length=20e3)
ARM = exp(-0.2 * 10 * np.log(10) / 10)
"""The transmission of each arm: 10 km at 0.2 dB/km."""
PAIRS = 20_000
ALPHAS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
SINGLE = tuple(
    SingleClickSource(
        alpha=(a, a * skew),
        emission=(emission, emission * skew),
        visibility=v,
        dark_count_probability=pd,
        phase_deviation=sigma,
        double_excitation=dexc,
        multiplexed=True,
    )
    for a, (emission, v, pd, sigma, dexc, skew) in product(
        ALPHAS,
        (
            (1.0, 1.0, 0.0, 0.0, 0.0, 1.0),
            (0.5, 0.9, 1e-3, 0.35, 0.06, 1.0),
            (0.0046, 0.9, 2.5e-8, 0.35, 0.06, 1.0),
            (0.8, 0.7, 1e-2, 0.2, 0.0, 0.6),
        ),
    )
)
EMISSIONS = ((1.0, 1.0), (0.5, 0.5), (0.1, 0.3), (0.01, 0.01))
STARLIGHT_KM = (20.0, 16.0, 2.0, 66.0, 54.0, 42.0, 2.0, 53.0, 41.8, 0.1)
STARLIGHT_EFFICIENCY = 0.75 * 0.8
"""Of a memory and of a detector."""
VISIBILITIES = (0.0, 0.5, 0.9, 1.0)

_CABRILLO = "Cabrillo et al. 1999; Bose et al. 1999; Coopmans et al. 2021"
_BARRETT = "Barrett and Kok 2005"
_SINGLE_P = Formula("heralding", "single click: success probability", _CABRILLO)
_SINGLE_F = Formula("heralding", "single click: fidelity", _CABRILLO)
_SINGLE_N = Formula("heralding", "single click: mean attempts per pair, 1/p", _CABRILLO)
_DOUBLE_P = Formula("heralding", "double click: eta_A eta_B / 2", _BARRETT)
_STARLIGHT = Formula("heralding", "StarLight laboratory: p of each link", "Wu et al. 2021 (SeQUeNCe)")
_DOUBLE_F = Formula("heralding", "double click: (1 + V)/2", _BARRETT)
_DARK_F = Formula("heralding", "double click, rare dark counts: F to first order", _BARRETT)
_PAIR_P = Formula(
    "heralding", "pair source: q eta_A eta_B", "Jones et al. 2016, sender-receiver and midpoint"
)
_PAIR_F = Formula("heralding", "pair source without dark counts: F", _PAIR_P.source)


class Heralded(NamedTuple):
    """What a single click leaves behind, not normalised: populations by what each end is, u bright, and coherence."""

    uu: float
    ud: float
    du: float
    dd: float
    coherence: float

    @property
    def probability(self) -> float:
        """Return the probability of the herald."""
        return self.uu + self.ud + self.du + self.dd

    @property
    def fidelity(self) -> float:
        """Return the fidelity with the Bell state that the click tells."""
        return ((self.ud + self.du) / 2 + self.coherence) / self.probability


def single_click(source: SingleClickSource) -> Heralded:
    """Return what exactly one click of two threshold detectors leaves behind.

    The bright populations a, b times what their photons do (click once, or not at all), where two photons that meet
    bunch with probability (1+V)/2; one click in the dark has probability 2 pd (1-pd).
    """
    (a, b), pd, v = source.alpha, source.dark_count_probability, source.visibility
    ea, eb = (emission * ARM for emission in source.emission)
    light, dark = 1 - pd, 2 * pd * (1 - pd)
    one_of_two = ea * (1 - eb) + eb * (1 - ea) + ea * eb * (1 + v) / 2
    coherence = sqrt(v * a * (1 - b) * b * (1 - a) * ea * eb) * light
    coherence *= exp(-(source.phase_deviation**2) / 2) * (1 - source.double_excitation) ** 2
    return Heralded(
        uu=a * b * (one_of_two * light + (1 - ea) * (1 - eb) * dark),
        ud=a * (1 - b) * (ea * light + (1 - ea) * dark),
        du=(1 - a) * b * (eb * light + (1 - eb) * dark),
        dd=(1 - a) * (1 - b) * dark,
        coherence=coherence,
    )


async def heralding(seed: int) -> Findings:
    """Make pairs by one click, by two, and with a source of photon pairs, through 20 km of fibre."""
    findings = Findings()
    for source in SINGLE:
        findings.comparisons.extend(await _single(source, seed))
    for emission, v in product(EMISSIONS, VISIBILITIES):
        findings.comparisons.extend(await _double(emission, v, seed))
    findings.comparisons.extend(_starlight(km) for km in STARLIGHT_KM)
    for pd in (1e-7, 1e-6, 1e-5):
        findings.comparisons.append(await _double_in_the_dark(0.05, 0.9, pd, seed))
    for emission, f in product(EMISSIONS, (0.7, 0.9, 1.0)):
        findings.comparisons.extend(await _pair_source(emission, f, seed))
    findings.plots.extend(_plots(findings.comparisons))
    return findings


async def _single(source: SingleClickSource, seed: int) -> list[Comparison]:
    given = {
        "alpha_a": source.alpha[0],
        "alpha_b": source.alpha[1],
        "eta_a": source.emission[0] * ARM,
        "eta_b": source.emission[1] * ARM,
        "visibility": source.visibility,
        "dark": source.dark_count_probability,
        "phase": source.phase_deviation,
        "double_excitation": source.double_excitation,
    }
    expected = single_click(source)
    p, f = expected.probability, expected.fidelity
    return [
        _SINGLE_P.exact(p, _probability(source), **given),
        _SINGLE_F.exact(f, await _fidelity(source, seed), **given),
        _SINGLE_N.mean(
            1 / p, await _attempts(source, 1 / source.attempt_rate, seed), PAIRS - 1, sqrt(1 - p) / p, **given
        ),
    ]


async def _double(emission: tuple[float, float], v: float, seed: int) -> list[Comparison]:
    source = DoubleClickSource(emission=emission, visibility=v)
    a, b = (each * ARM for each in emission)
    given = {"eta_a": a, "eta_b": b, "visibility": v}
    return [
        _DOUBLE_P.exact(a * b / 2, _probability(source), **given),
        _DOUBLE_F.exact((1 + v) / 2, await _fidelity(source, seed), **given),
    ]


def starlight(km: float) -> float:
    """Return the success probability of an attempt on a link of that length at 0.2 dB/km."""
    return (STARLIGHT_EFFICIENCY * exp(-0.2 * km / 2 * np.log(10) / 10)) ** 2 / 2


def _starlight(km: float) -> Comparison:
    source = DoubleClickSource(emission=(STARLIGHT_EFFICIENCY, STARLIGHT_EFFICIENCY))
    return _STARLIGHT.exact(starlight(km), _probability(source, FibreConfig(km * 1000)), km=km)


async def _double_in_the_dark(emission: float, v: float, pd: float, seed: int) -> Comparison:
    source = DoubleClickSource(emission=(emission, emission), visibility=v, dark_count_probability=pd)
    eta = emission * ARM
    real, dark = eta**2 / 2, 4 * pd * eta
    reference = (real * (1 + v) / 2 + dark / 4) / (real + dark)
    measured = await _fidelity(source, seed)
    return _DARK_F.exact(reference, measured, tolerance=3e-4, eta=eta, visibility=v, dark=pd)


async def _pair_source(emission: tuple[float, float], f: float, seed: int) -> list[Comparison]:
    source = PhotonPairSource(pair_probability=0.1, fidelity=f, emission=emission)
    a, b = (each * ARM for each in emission)
    given = {"q": 0.1, "eta_a": a, "eta_b": b, "f": f}
    return [
        _PAIR_P.exact(0.1 * a * b, _probability(source), **given),
        _PAIR_F.exact(f, await _fidelity(source, seed), **given),
    ]


def _probability(source: SourceConfig, fibre: FibreConfig | None = None) -> float:
    """Return the success probability that the server draws attempts with."""
    process = scheme_of(source, fibre or FIBRE).process
    assert isinstance(process, Trials)
    return process.probability


async def _fidelity(source: SourceConfig, seed: int) -> float:
    nodes = {"alice": NodeDevices(), "bob": NodeDevices()}
    async with laid_out(nodes, {"link": LinkDevices(("alice", "bob"), FIBRE, source)}, seed) as table:
        one, other = await table.pair("link")
        return overlap(await table.state(one.time, alice=one.qubit, bob=other.qubit))


async def _attempts(source: SourceConfig, cycle: float, seed: int) -> float:
    """Return the mean number of attempts between heralded pairs."""
    nodes = {"alice": NodeDevices(ROOM), "bob": NodeDevices(ROOM)}
    async with laid_out(nodes, {"link": LinkDevices(("alice", "bob"), FIBRE, source)}, seed) as table:
        one, _ = await table.pairs("link", PAIRS)
    return float(one.times[-1] - one.times[0]) / cycle / (PAIRS - 1)


def _plots(comparisons: list[Comparison]) -> list[Plot]:
    plots = []
    for formula, value, title, y_label in (
        (_SINGLE_F, "fidelity", "Fidelity by a single click", "fidelity with Phi+"),
        (_SINGLE_P, "probability", "Rate by a single click", "pairs per attempt"),
    ):
        curves: list[Curve] = []
        for emission, label in (
            (1.0, "ideal"),
            (0.5, "collection 1/2, V = 0.9, dark 1e-3"),
            (0.0046, "NV centre, V = 0.9"),
        ):
            alike = [s for s in SINGLE if s.emission == (emission, emission)]
            grid = [float(x) for x in np.linspace(ALPHAS[0], ALPHAS[-1], 101)]
            line = tuple(getattr(single_click(_with_alpha(alike[0], x)), value) for x in grid)
            points = [
                (c.parameters["alpha_a"], c.measured)
                for c in comparisons
                if c.name == formula.name and c.parameters["eta_a"] == c.parameters["eta_b"] == emission * ARM
            ]
            xs, ys = zip(*points, strict=True)
            curves += [Curve(label, "theory", tuple(grid), line), Curve(label, "measured", xs, ys)]
        rate = formula is _SINGLE_P
        name = "single-click-rate" if rate else "single-click-fidelity"
        plots.append(Plot(name, title, "alpha", y_label, tuple(curves), logarithmic=rate))
    return plots


def _with_alpha(source: SingleClickSource, alpha: float) -> SingleClickSource:
    return replace(source, alpha=(alpha, alpha))
