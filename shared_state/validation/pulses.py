"""Pulses of light for prepare-and-measure protocols: gains, error rates, eavesdroppers."""

from __future__ import annotations

from math import exp

import numpy as np

from shared_state.config import DetectorConfig, FibreConfig, PulseConfig, TapConfig
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.shots import PULSES, Setting, shoot

DISTANCES_KM = (0.0, 10.0, 25.0, 50.0, 75.0, 100.0)
INTENSITIES = (0.48, 0.1, 0.0)
GYS = DetectorConfig(efficiency=0.045, dark_count_probability=0.85e-6)
"""Gobby, Yuan and Shields 2004, as in Ma, Qi, Zhao and Lo 2005: Y0 = 1.7e-6, misalignment 3.3 %, 0.21 dB/km."""
NOISY = DetectorConfig(efficiency=0.5, dark_count_probability=1e-4)
"""A receiver whose dark counts are seen within 100 km."""
ATTENUATION, MISALIGNMENT = 0.21, 0.033
FRACTIONS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
BLOCKINGS = (0.0, 0.5, 1.0)

_MA = "Ma, Qi, Zhao and Lo, PRA 72, 012326, 2005"
_GAIN = Formula("pulses", "gain 1 - (1-pd)^2 e^(-eta mu)", _MA)
_ERROR = Formula("pulses", "QBER of weak coherent pulses", _MA)
_NOISY_GAIN = Formula("pulses", "gain with many dark counts", _MA)
_NOISY_ERROR = Formula("pulses", "QBER with many dark counts", _MA)
_INTERCEPT = Formula("pulses", "intercept-resend of a share f: QBER f/4", "Bennett and Brassard 1984")
_SPLIT = Formula("pulses", "gain under photon-number splitting", "Brassard, Lütkenhaus, Mor and Sanders 2000")
_BEAM = Formula("pulses", "gain under beam splitting: eta (1-f) in place of eta", _SPLIT.source)
_TIME_BIN = Formula("pulses", "time bins, phase basis: QBER (1-V)/2", "Boaron et al. 2018")
_SIDE_PEAKS = Formula("pulses", "time bins, phase basis: half of the photons lost", _TIME_BIN.source)


def arrival(km: float, receiver: DetectorConfig = GYS) -> float:
    """Return the probability that a photon put into the fibre makes a click."""
    return receiver.efficiency * exp(-ATTENUATION * km * np.log(10) / 10)


def gain(mu: float, km: float, receiver: DetectorConfig = GYS) -> float:
    """Return the probability of a click."""
    return 1 - (1 - receiver.dark_count_probability) ** 2 * exp(-arrival(km, receiver) * mu)


def error_rate(mu: float, km: float, receiver: DetectorConfig = GYS) -> float:
    """Return the probability that a click has the wrong bit; where both detectors fire, a coin decides."""
    dark, light = 1 - receiver.dark_count_probability, arrival(km, receiver) * mu
    wrong = 1 - dark * exp(-light * MISALIGNMENT)
    right = 1 - dark * exp(-light * (1 - MISALIGNMENT))
    return (wrong * (1 - right) + wrong * right / 2) / gain(mu, km, receiver)


def split_gain(mu: float, km: float, blocking: float) -> float:
    """Return the gain when one photon of several is kept and single ones are blocked with this probability."""
    eta = arrival(km)
    one = mu * exp(-mu) * (blocking + (1 - blocking) * (1 - eta))
    several = exp(-mu) / (1 - eta) * (exp(mu * (1 - eta)) - 1 - mu * (1 - eta))
    return 1 - (1 - GYS.dark_count_probability) ** 2 * (exp(-mu) + one + several)


async def pulses(seed: int) -> Findings:
    """Send decoy states over many distances, and let an eavesdropper act."""
    findings = Findings()
    for km in DISTANCES_KM:
        findings.comparisons.extend(await _decoy(km, seed))
        findings.comparisons.extend(await _noisy(km, seed))
    for blocking in BLOCKINGS:
        findings.comparisons.extend(await _photon_number_splitting(blocking, seed))
    for fraction in FRACTIONS:
        findings.comparisons.append(await _intercept_resend(fraction, seed))
        findings.comparisons.append(await _beam_splitting(fraction, seed))
    for visibility in (0.5, 0.9, 0.98, 1.0):
        findings.comparisons.extend(await _time_bins(visibility, seed))
    findings.plots.extend([_gain_plot(findings.comparisons), _error_plot(findings.comparisons)])
    return findings


def _experiment(km: float, tap: TapConfig | None = None) -> Setting:
    light = PulseConfig(intensities=INTENSITIES, misalignment=MISALIGNMENT, detectors=GYS)
    return Setting(light, FibreConfig(km * 1000, ATTENUATION), tap, count=PULSES)


async def _decoy(km: float, seed: int) -> list[Comparison]:
    shot = await shoot(_experiment(km), seed)
    found = []
    for index, mu in enumerate(INTENSITIES):
        found.append(_GAIN.share(gain(mu, km), *shot.clicks(index), km=km, mu=mu))
        errors, clicks = shot.errors(index)
        if mu > 0 and clicks > 0:
            found.append(_ERROR.share(error_rate(mu, km), errors, clicks, km=km, mu=mu))
    return found


async def _noisy(km: float, seed: int) -> list[Comparison]:
    mu = INTENSITIES[0]
    light = PulseConfig(intensities=(mu,), misalignment=MISALIGNMENT, detectors=NOISY)
    shot = await shoot(Setting(light, FibreConfig(km * 1000, ATTENUATION), count=PULSES), seed)
    return [
        _NOISY_GAIN.share(gain(mu, km, NOISY), *shot.clicks(), km=km, mu=mu),
        _NOISY_ERROR.share(error_rate(mu, km, NOISY), *shot.errors(), km=km, mu=mu),
    ]


async def _photon_number_splitting(blocking: float, seed: int) -> list[Comparison]:
    tap = TapConfig("link", "photon-number-splitting", blocking=blocking, enabled=True)
    shot = await shoot(_experiment(10.0, tap), seed)
    return [
        _SPLIT.share(split_gain(mu, 10.0, blocking), *shot.clicks(index), blocking=blocking, mu=mu)
        for index, mu in enumerate(INTENSITIES[:2])
    ]


async def _beam_splitting(fraction: float, seed: int) -> Comparison:
    tap = TapConfig("link", "beam-splitting", fraction=fraction, enabled=True)
    shot = await shoot(_experiment(10.0, tap), seed)
    reference = gain(INTENSITIES[0] * (1 - fraction), 10.0)
    return _BEAM.share(reference, *shot.clicks(), f=fraction, mu=INTENSITIES[0])


async def _intercept_resend(fraction: float, seed: int) -> Comparison:
    tap = TapConfig("link", "intercept-resend", fraction=fraction, enabled=True)
    shot = await shoot(Setting(PulseConfig(), tap=tap), seed)
    return _INTERCEPT.share(fraction / 4, *shot.errors(), f=fraction)


async def _time_bins(visibility: float, seed: int) -> list[Comparison]:
    light = PulseConfig(encoding="time-bin", visibility=visibility)
    shot = await shoot(Setting(light, basis=1), seed)
    return [
        _TIME_BIN.share((1 - visibility) / 2, *shot.errors(), visibility=visibility),
        _SIDE_PEAKS.share(0.5, *shot.clicks(), visibility=visibility),
    ]


def _gain_plot(comparisons: list[Comparison]) -> Plot:
    curves: list[Curve] = []
    grid = [float(x) for x in np.linspace(0, DISTANCES_KM[-1], 101)]
    for mu in INTENSITIES[:2]:
        points = [
            (c.parameters["km"], c.measured)
            for c in comparisons
            if c.name == _GAIN.name and c.parameters["mu"] == mu
        ]
        xs, ys = zip(*points, strict=True)
        label = f"mu = {mu:g}"
        curves += [
            Curve(label, "theory", tuple(grid), tuple(gain(mu, km) for km in grid)),
            Curve(label, "measured", xs, ys),
        ]
    split = [(c.parameters["blocking"], c.measured) for c in comparisons if c.name == _SPLIT.name][::2]
    for blocking, measured in split:
        label = f"mu = {INTENSITIES[0]:g}, PNS, {blocking:.0%} blocked"
        line = tuple(split_gain(INTENSITIES[0], km, blocking) for km in grid)
        curves += [
            Curve(label, "theory", tuple(grid), line),
            Curve(label, "measured", (10.0,), (measured,)),
        ]
    return Plot(
        "gain",
        "Decoy states over distance",
        "length (km)",
        "clicks per pulse",
        tuple(curves),
        logarithmic=True,
    )


def _error_plot(comparisons: list[Comparison]) -> Plot:
    curves: list[Curve] = []
    grid = [float(x) for x in np.linspace(0, DISTANCES_KM[-1], 101)]
    mu = INTENSITIES[0]
    for receiver, formula, label in (
        (NOISY, _NOISY_ERROR, "dark counts 1e-4"),
        (GYS, _ERROR, "GYS receiver"),
    ):
        points = [
            (c.parameters["km"], c.measured)
            for c in comparisons
            if c.name == formula.name and c.parameters["mu"] == mu and c.samples > 500
        ]
        xs, ys = zip(*points, strict=True)
        line = tuple(error_rate(mu, km, receiver) for km in grid)
        curves += [Curve(label, "theory", tuple(grid), line), Curve(label, "measured", xs, ys)]
    return Plot("qber", f"Error rate over distance, mu = {mu:g}", "length (km)", "QBER", tuple(curves))
