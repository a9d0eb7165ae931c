"""What no device can do: secret bits and entanglement per attempt against the capacity of the fibre."""

from __future__ import annotations

from itertools import product
from math import exp, log, log2

import numpy as np
from numpy.typing import NDArray

from shared_state.config import (
    DetectorConfig,
    DoubleClickSource,
    FibreConfig,
    LinkDevices,
    NodeDevices,
    PhotonPairSource,
    PulseConfig,
    SingleClickSource,
    SourceConfig,
    WernerSource,
)
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.shots import Setting, shoot
from shared_state.validation.table import SHORT, laid_out
from shared_state.world.heralding import scheme_of
from shared_state.world.schemes.scheme import Trials

DISTANCES_KM = (10.0, 50.0, 100.0, 200.0, 300.0)
KEY_DISTANCES_KM = (1.0, 10.0, 25.0, 50.0)
PULSES = 1_000_000
DOUBLE = (
    DoubleClickSource(),
    DoubleClickSource(visibility=0.9),
    DoubleClickSource(emission=(0.5, 0.3), visibility=0.95, dark_count_probability=1e-6),
)
MIDPOINT = (
    PhotonPairSource(),
    PhotonPairSource(fidelity=0.95),
    PhotonPairSource(midpoint=0.0, fidelity=0.99),
)
ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
FIDELITIES = (0.810710, 0.85, 0.9, 0.95, 0.99, 1.0)

_PLOB = "Pirandola, Laurenza, Ottaviani and Banchi 2017"
_IDEAL = Formula("capacity", "ideal double click: ebits per attempt, eta/2", "Barrett and Kok 2005")
_PAIRS = Formula("capacity", "ideal pair source: ebits per attempt, eta", "Jones et al. 2016")
_HASHING = Formula(
    "capacity", "Werner pair: hashing yield 1 + F log2 F + (1-F) log2((1-F)/3)", "Bennett et al. 1996"
)
_BOUND = Formula("capacity", "double click and pair source: ebits at most -log2(1-eta)", _PLOB)
_REPEATER = Formula(
    "capacity", "single click at a midpoint: ebits at most -log2(1-sqrt eta)", "Pirandola 2019"
)
_KEY = Formula("capacity", "BB84: secret bits per pulse at most -log2(1-eta)", _PLOB)


def plob(eta: float) -> float:
    """Return the secret-key capacity of a fibre of transmission ``eta`` without repeaters, in bits per use."""
    return -log2(1 - eta)


def tgw(eta: float) -> float:
    """Return the older bound of Takeoka, Guha and Wilde 2014, in bits per use."""
    return log2((1 + eta) / (1 - eta))


def one_repeater(eta: float) -> float:
    """Return the capacity with one repeater, or one station that heralds, in the middle."""
    return plob(eta**0.5)


def transmitted(km: float) -> float:
    """Return the transmission at 0.2 dB/km."""
    return exp(-0.2 * km * log(10) / 10)


def werner_yield(f: float) -> float:
    """Return 1 - S of a Werner pair: what one-way hashing distils from each."""
    return 1 + f * log2(f) + ((1 - f) * log2((1 - f) / 3) if f < 1 else 0.0)


def coherent_information(rho: NDArray[np.complex128]) -> float:
    """Return S(B) - S(AB) in ebits: what one-way distillation makes of each pair (Devetak and Winter 2005)."""
    reduced = np.einsum("abac->bc", rho.reshape(2, 2, 2, 2))
    return _entropy(reduced) - _entropy(rho)


def _entropy(rho: NDArray[np.complex128]) -> float:
    weights = np.linalg.eigvalsh(rho)
    weights = weights[weights > 1e-15]
    return float(-(weights * np.log2(weights)).sum())


async def capacity(seed: int) -> Findings:
    """Distil what many sources herald over many distances; distribute keys with single photons and weak light."""
    findings = Findings()
    for f in FIDELITIES:
        found = coherent_information(await _state(WernerSource(fidelity=f), SHORT, seed))
        findings.comparisons.append(_HASHING.exact(werner_yield(f), found, f=f))
    for km in DISTANCES_KM:
        findings.comparisons.extend(await _pairs(km, seed))
    for km, mu in product(KEY_DISTANCES_KM, (None, 0.5, 0.1)):
        findings.comparisons.append(await _bb84(km, mu, seed))
    findings.plots.append(_plot(findings.comparisons))
    return findings


async def _pairs(km: float, seed: int) -> list[Comparison]:
    fibre, eta, found = FibreConfig(length=km * 1000), transmitted(km), []
    sources: tuple[SourceConfig, ...] = (*DOUBLE, *MIDPOINT)
    for index, source in enumerate(sources):
        ebits = await _ebits(source, fibre, seed)
        found.append(_BOUND.at_most(plob(eta), ebits, km=km, source=index))
        if source == DOUBLE[0]:
            found.append(_IDEAL.exact(eta / 2, ebits, km=km))
        if source == MIDPOINT[0]:
            found.append(_PAIRS.exact(eta, ebits, km=km))
    for alpha in ALPHAS:
        ebits = await _ebits(SingleClickSource(alpha=(alpha, alpha)), fibre, seed)
        found.append(_REPEATER.at_most(one_repeater(eta), ebits, km=km, alpha=alpha))
    return found


async def _ebits(source: SourceConfig, fibre: FibreConfig, seed: int) -> float:
    """Return success probability times coherent information, of one end or the other: whichever gives more."""
    process = scheme_of(source, fibre).process
    assert isinstance(process, Trials)
    rho = await _state(source, fibre, seed)
    swapped = rho.reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
    return process.probability * max(0.0, coherent_information(rho), coherent_information(swapped))


async def _state(source: SourceConfig, fibre: FibreConfig, seed: int) -> NDArray[np.complex128]:
    nodes = {"alice": NodeDevices(), "bob": NodeDevices()}
    async with laid_out(nodes, {"link": LinkDevices(("alice", "bob"), fibre, source)}, seed) as table:
        one, other = await table.pair("link")
        return await table.state(max(one.time, other.time), alice=one.qubit, bob=other.qubit)


async def _bb84(km: float, mu: float | None, seed: int) -> Comparison:
    """Measure in one basis, and let the other have as many clicks and errors; ``mu`` None: single photons.

    Half of the clicks Q are sifted, and Q_1 (1 - h(E Q/Q_1)) - Q h(E) of them remain secret; of weak pulses only those
    with one photon count, Q_1 = Q - P(n > 1) of all at least (Gottesman, Lo, Luetkenhaus and Preskill 2004).
    """
    receiver = DetectorConfig(efficiency=0.9, dark_count_probability=1e-6)
    light = PulseConfig(intensities=() if mu is None else (mu,), misalignment=0.01, detectors=receiver)
    shot = await shoot(Setting(light, FibreConfig(km * 1000), count=PULSES), seed)
    clicks, count = shot.clicks()
    errors, _ = shot.errors()
    several = 0.0 if mu is None else 1 - (1 + mu) * exp(-mu)
    single = max(0.0, clicks / count - several)
    wrong = errors / count
    secret = -clicks / count * _binary(errors / clicks)
    if single > 0:
        secret += single * (1 - _binary(wrong / single))
    return _KEY.at_most(plob(transmitted(km)), max(0.0, secret) / 2, km=km, mu=mu or 0.0)


def _binary(p: float) -> float:
    """Return the entropy h(p) of a coin, which is 1 for p above a half: nothing remains then."""
    if p >= 0.5:
        return 1.0
    return -p * log2(p) - (1 - p) * log2(1 - p) if p > 0 else 0.0


def best_single_click(km: float) -> float:
    """Return the most ebits per attempt that an ideal single click has for one of ``ALPHAS``, in closed form.

    uu = a^2 t (2-t) and ud = du = a (1-a) t with coherence as large, t = sqrt(eta): eigenvalues uu and 2 ud.
    """
    t = transmitted(km) ** 0.5
    best = 0.0
    for a in ALPHAS:
        both, one = a * a * t * (2 - t), 2 * a * (1 - a) * t
        p = both + one
        bright = (both + one / 2) / p
        best = max(best, p * (_coin(bright) - _coin(both / p)))
    return best


def _coin(p: float) -> float:
    return _binary(min(p, 1 - p))


def _plot(comparisons: list[Comparison]) -> Plot:
    grid = [float(km) for km in np.linspace(5, DISTANCES_KM[-1], 101)]
    lines = {
        "capacity": tuple(plob(transmitted(km)) for km in grid),
        "bound of Takeoka, Guha and Wilde": tuple(tgw(transmitted(km)) for km in grid),
        "capacity with one repeater": tuple(one_repeater(transmitted(km)) for km in grid),
        "pair source": tuple(transmitted(km) for km in grid),
        "double click": tuple(transmitted(km) / 2 for km in grid),
        "single click": tuple(best_single_click(km) for km in grid),
    }
    curves = [Curve(label, "theory", tuple(grid), line) for label, line in lines.items()]
    for label, formula in (("double click", _IDEAL), ("pair source", _PAIRS), ("single click", _REPEATER)):
        best: dict[float, float] = {}
        for c in comparisons:
            if c.name == formula.name:
                km = c.parameters["km"]
                best[km] = max(best.get(km, 0.0), c.measured)
        curves.append(Curve(label, "measured", tuple(best), tuple(best.values())))
    title = "Entanglement per attempt and the capacity of fibre"
    return Plot("capacity", title, "length (km)", "ebits per attempt", tuple(curves), logarithmic=True)
