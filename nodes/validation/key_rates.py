"""Decoy states in the quantum world, and the key that their tallies allow, beside what is expected of links."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from nodes.qkd.asymptotic_rates import WeakLightChannel, infinite_decoy_rate, plob_bound
from nodes.qkd.decoy import DecoySource, Security, Tallies, secret_length
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.expected_clicks import Clicks, LinkParameters, Settings
from nodes.qkd.key_rates import EFFICIENCY, error_rate, expected_block
from nodes.validation import counted_links
from shared_state.config import DetectorConfig, FibreConfig, LinkDevices, PulseConfig
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot

DISTANCES_KM = (0.0, 25.0, 50.0, 75.0, 100.0)
CLICKS = 350_000
"""How many of them are waited for, on average, at every distance."""
SETTINGS = Settings(DecoySource((0.47, 0.17, 2e-4), (0.1, 0.56, 0.34)), 0.7)
"""Near the best ones for blocks as short as these."""
ATTENUATION, MISALIGNMENT, PULSE_RATE = 0.2, 0.015, 1e9
RECEIVER = DetectorConfig(
    efficiency=0.2, dark_count_probability=1e-5, dead_time=20e-9, afterpulse_probability=0.02
)

_RENEWAL = "renewal theory, Feller"
_MA = "Ma, Qi, Zhao and Lo, PRA 72, 012326, 2005"
_CLICKS = Formula("key-rates", "clicks per pulse with dead time and after-pulses", _RENEWAL)
_SIGNAL = Formula("key-rates", "share of clicks that are of the signal and in the key basis", _MA)
_DECOY = Formula("key-rates", "share of clicks that are of the decoy and in the check basis", _MA)
_KEY_ERRORS = Formula("key-rates", "QBER of the key basis", _MA)
_CHECK_ERRORS = Formula("key-rates", "QBER of the check basis", _MA)
_PLOB = Formula(
    "key-rates",
    "secret bits per pulse at most -log2(1-eta)",
    "Pirandola, Laurenza, Ottaviani and Banchi 2017",
)
_INFINITE = Formula(
    "key-rates", "finite keys at most those of infinitely many decoys", "Lo, Ma and Chen 2005"
)


def link_of(km: float) -> LinkParameters:
    """Return the link that is looked at, as the key rates know it."""
    return LinkParameters(
        10 ** (-ATTENUATION * km / 10),
        efficiency=RECEIVER.efficiency,
        dark_count_probability=RECEIVER.dark_count_probability,
        misalignment=MISALIGNMENT,
        pulse_rate=PULSE_RATE,
        dead_time=RECEIVER.dead_time,
        afterpulse_probability=RECEIVER.afterpulse_probability,
    )


def clicks_per_pulse(km: float) -> float:
    """Return how often anything clicks, in either basis."""
    return counted_links.clicks_per_pulse(link_of(km), SETTINGS)


async def key_rates(seed: int) -> Findings:
    """Send decoy states over several distances, and make of what is seen what a key would be."""
    findings = Findings()
    rates: list[float] = []
    for km in DISTANCES_KM:
        pulses, clicks, tallies = await send(km, seed)
        findings.comparisons.extend(_compare(km, pulses, clicks, tallies))
        rates.append(_key(tallies) / pulses)
        findings.comparisons.extend(_bounds(km, rates[-1]))
    findings.plots.extend([_error_plot(findings.comparisons), _rate_plot(rates)])
    return findings


async def send(km: float, seed: int) -> tuple[int, int, Tallies]:
    """Send a train whose settings the devices draw; return how many pulses and clicks there were, and the tallies."""
    pulses = round(CLICKS / clicks_per_pulse(km))
    source, q = SETTINGS.source, SETTINGS.key_basis_probability
    light = PulseConfig(
        pulse_rate=PULSE_RATE,
        intensities=source.intensities,
        intensity_probabilities=source.probabilities,
        basis_probability=q,
        misalignment=MISALIGNMENT,
        detectors=RECEIVER,
    )
    devices = LinkDevices(("alice", "bob"), FibreConfig(km * 1000, ATTENUATION), None, light)
    return pulses, *await counted_links.count_pulses(devices, pulses, seed)


def _compare(km: float, pulses: int, clicks: int, tallies: Tallies) -> list[Comparison]:
    source, q = SETTINGS.source, SETTINGS.key_basis_probability
    key, check = link_of(km).clicks(SETTINGS)
    rate = clicks_per_pulse(km)
    signal = q**2 * source.probabilities[0] * key.detections[0] / rate
    decoy = (1 - q) ** 2 * source.probabilities[1] * check.detections[1] / rate
    assert tallies.key_errors is not None
    return [
        _CLICKS.mean(rate, clicks / pulses, pulses, _spread(rate), km=km),
        _SIGNAL.share(signal, int(tallies.key_detections[0]), clicks, km=km),
        _DECOY.share(decoy, int(tallies.check_detections[1]), clicks, km=km),
        _KEY_ERRORS.share(qber(key), int(sum(tallies.key_errors)), int(sum(tallies.key_detections)), km=km),
        _CHECK_ERRORS.share(
            qber(check), int(sum(tallies.check_errors)), int(sum(tallies.check_detections)), km=km
        ),
    ]


def _bounds(km: float, rate: float) -> list[Comparison]:
    ceiling = _infinite(km)
    found = [_INFINITE.at_most(ceiling, rate, km=km)]
    if km > 0:
        found.append(_PLOB.at_most(plob_bound(link_of(km).transmission), rate, km=km))
    return found


def qber(clicks: Clicks) -> float:
    """Return the share of wrong bits among all detections of a basis."""
    shares = SETTINGS.source.probabilities
    wrong = sum(p * error for p, error in zip(shares, clicks.errors, strict=True))
    return wrong / sum(p * seen for p, seen in zip(shares, clicks.detections, strict=True))


def _spread(rate: float) -> float:
    """Return the standard deviation of the clicks of a pulse, as it adds up over a long train.

    The gap between clicks is d - 1 and a number that is 1 with probability a, or geometric; the clicks of N pulses
    have the variance N var(gap) rate^3 (Feller).
    """
    echo, blind = RECEIVER.afterpulse_probability, round(RECEIVER.dead_time * PULSE_RATE)
    ready = (1 - echo) / (1 / rate - (blind - 1) - echo)
    variance = echo + (1 - echo) * (2 - ready) / ready**2 - (echo + (1 - echo) / ready) ** 2
    return sqrt(variance * rate**3)


def _key(tallies: Tallies) -> int:
    leaked = EFFICIENCY * sum(tallies.key_detections) * binary_entropy(error_rate(tallies))
    return secret_length(tallies, SETTINGS.source, leaked, Security()).length


def _infinite(km: float) -> float:
    """Return the rate of infinite keys of the signal's intensity, every pulse in the key basis and never blind."""
    channel = WeakLightChannel(
        link_of(km).transmission * RECEIVER.efficiency, 2 * RECEIVER.dark_count_probability, MISALIGNMENT
    )
    return infinite_decoy_rate(channel, SETTINGS.source.intensities[0], EFFICIENCY, 1.0)


def _error_plot(comparisons: list[Comparison]) -> Plot:
    curves: list[Curve] = []
    grid = [float(km) for km in np.linspace(0, DISTANCES_KM[-1], 101)]
    for formula, label, check in ((_KEY_ERRORS, "key basis", False), (_CHECK_ERRORS, "check basis", True)):
        points = [(c.parameters["km"], c.measured) for c in comparisons if c.name == formula.name]
        xs, ys = zip(*points, strict=True)
        line = tuple(qber(link_of(km).clicks(SETTINGS)[check]) for km in grid)
        curves += [Curve(label, "theory", tuple(grid), line), Curve(label, "measured", xs, ys)]
    title = "Error rate over distance, with dead time and after-pulses"
    return Plot("decoy-qber", title, "length (km)", "QBER", tuple(curves))


def _rate_plot(rates: list[float]) -> Plot:
    grid = [float(km) for km in np.linspace(1, 150, 150)]
    label = f"two decoys, {CLICKS:,} clicks"
    lines = {
        "PLOB bound of the fibre": [plob_bound(link_of(km).transmission) for km in grid],
        "infinitely many decoys": [_infinite(km) for km in grid],
        label: [_finite(km) for km in grid],
    }
    curves = [Curve(name, "theory", *_positive(grid, line)) for name, line in lines.items()]
    curves.append(Curve(label, "measured", *_positive(DISTANCES_KM, rates)))
    shown = tuple(curve for curve in curves if curve.x)
    title = "Secret key of tallies that the quantum world has made"
    return Plot("key-rates", title, "length (km)", "secret bits per pulse", shown, logarithmic=True)


def _finite(km: float) -> float:
    """Return the expected rate where a block is as many pulses as were sent."""
    shares, seen = SETTINGS.source.probabilities, link_of(km).clicks(SETTINGS).key.detections
    in_key = SETTINGS.key_basis_probability**2 * sum(p * each for p, each in zip(shares, seen, strict=True))
    return expected_block(link_of(km), SETTINGS, CLICKS / clicks_per_pulse(km) * in_key).bits_per_pulse


def _positive(xs: Sequence[float], ys: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the points that a logarithmic plot can show."""
    shown = [(x, y) for x, y in zip(xs, ys, strict=True) if y > 0]
    return tuple(x for x, _ in shown), tuple(y for _, y in shown)
