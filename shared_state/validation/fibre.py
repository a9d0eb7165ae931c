"""Fibre: how many single photons arrive, and when."""

from __future__ import annotations

import numpy as np

from shared_state.config import FibreConfig, LinkDevices, NodeDevices, PulseConfig
from shared_state.validation.comparison import Comparison, Formula
from shared_state.validation.findings import Curve, Findings, Plot
from shared_state.validation.table import RUN, Table, laid_out
from shared_state.world.fibre import transmission

LENGTHS_KM = (0.0, 5.0, 15.0515, 25.0, 50.0, 100.0)
KINDS = ((0.2, 0.0), (0.32, 0.0), (0.2, 10.0))
"""Attenuation in dB/km and insertion loss in dB: a spool, a deployed fibre, a spool with a poor detector."""
VELOCITIES = (2.0e8, 2.06753e8, 2.14e8)
"""In m/s: the usual figure, and those of Coopmans et al. 2021 (NetSquid) and Avis et al. 2022 (SquidASM)."""
PHOTONS = 100_000

_BEER = Formula("fibre", "transmission 10^(-(a L + b)/10)", "Agrawal, Fiber-Optic Communication Systems")
_ARRIVING = Formula("fibre", "share of single photons that arrive", _BEER.source)
_DELAY = Formula("fibre", "delay of a qubit in flight, L / v", _BEER.source)


def expected(length_km: float, attenuation: float, insertion: float) -> float:
    """Return e^(-loss ln 10 / 10), the transmission of a fibre with this loss in decibels."""
    return float(np.exp(-(attenuation * length_km + insertion) * np.log(10) / 10))


async def fibre(seed: int) -> Findings:
    """Send photons and qubits through fibres of many lengths."""
    settings = {
        f"{length:g}/{attenuation:g}/{insertion:g}": (length, attenuation, insertion)
        for length in LENGTHS_KM
        for attenuation, insertion in KINDS
    }
    links = {
        name: LinkDevices(
            ("alice", "bob"),
            FibreConfig(length * 1000, attenuation, insertion, velocity=2.0e8),
            pulses=PulseConfig(pulse_rate=1e9),
        )
        for name, (length, attenuation, insertion) in settings.items()
    }
    findings = Findings()
    async with laid_out({"alice": NodeDevices(), "bob": NodeDevices()}, links, seed) as table:
        for name, setting in settings.items():
            findings.comparisons.extend(await _of_one(table, name, *setting))
    for velocity in VELOCITIES[1:]:
        findings.comparisons.extend(await _delays(velocity, seed))
    findings.plots.append(_plot(findings.comparisons))
    return findings


async def _of_one(
    table: Table, name: str, length: float, attenuation: float, insertion: float
) -> list[Comparison]:
    alice, bob = table.nodes["alice"], table.nodes["bob"]
    given = {"length_km": length, "attenuation_db_per_km": attenuation, "insertion_loss_db": insertion}
    reference = expected(length, attenuation, insertion)
    dark = np.zeros(PHOTONS, dtype=np.uint8)
    await alice.emit_pulses(0.0, RUN, name, dark, dark)
    seen = await bob.measure_pulses(0.0, RUN, name, dark)
    return [
        _BEER.exact(reference, transmission(table.world.links[name].fibre), **given),
        _ARRIVING.share(reference, int(seen.clicked.sum()), PHOTONS, **given),
        await _delay(table, name, length, VELOCITIES[0]),
    ]


async def _delays(velocity: float, seed: int) -> list[Comparison]:
    links = {
        f"{length:g}": LinkDevices(("alice", "bob"), FibreConfig(length * 1000, velocity=velocity))
        for length in LENGTHS_KM
    }
    async with laid_out({"alice": NodeDevices(), "bob": NodeDevices()}, links, seed) as table:
        return [await _delay(table, f"{length:g}", length, velocity) for length in LENGTHS_KM]


async def _delay(table: Table, link: str, length: float, velocity: float) -> Comparison:
    """Send a qubit, which says when it comes even where it is lost."""
    alice, bob = table.nodes["alice"], table.nodes["bob"]
    qubit = await alice.qubit(0.0, RUN)
    await alice.transmit(0.0, RUN, link, qubit)
    arrival = await bob.receive(0.0, RUN, link)
    if arrival.qubit is not None:
        await bob.discard(arrival.time, arrival.qubit)
    return _DELAY.exact(
        length * 1000 / velocity, arrival.time, tolerance=1e-12, length_km=length, velocity=velocity
    )


def _plot(comparisons: list[Comparison]) -> Plot:
    curves = []
    grid = np.linspace(0, LENGTHS_KM[-1], 101)
    for attenuation, insertion in KINDS:
        label = f"{attenuation:g} dB/km" + (f" and {insertion:g} dB" if insertion else "")
        line = tuple(expected(x, attenuation, insertion) for x in grid)
        curves.append(Curve(label, "theory", tuple(map(float, grid)), line))
        points = [
            (c.parameters["length_km"], c.measured)
            for c in comparisons
            if c.name == _ARRIVING.name
            and c.parameters["attenuation_db_per_km"] == attenuation
            and c.parameters["insertion_loss_db"] == insertion
        ]
        xs, ys = zip(*points, strict=True)
        curves.append(Curve(label, "measured", xs, ys))
    return Plot(
        "transmission",
        "Single photons through fibre",
        "length (km)",
        "share that arrives",
        tuple(curves),
        logarithmic=True,
    )
