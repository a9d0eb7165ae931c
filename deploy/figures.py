"""What the links of a lab do on average: the devices' own formulas, asked for every link."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.lab import Lab, Link
from shared_state.engine.measures import bell_state, fidelity
from shared_state.world.expectations import click_probability, heralded_fidelity
from shared_state.world.fibre import delay, detection_probability, transmission
from shared_state.world.heralding import scheme_of
from shared_state.world.schemes.scheme import Trials


@dataclass(frozen=True, slots=True)
class FibreFigures:
    """A fibre: ``detection`` is ``transmission`` times the efficiency of the detectors; ``delay`` in seconds."""

    loss_db: float
    transmission: float
    detection: float
    delay: float


@dataclass(frozen=True, slots=True)
class PairFigures:
    """A source of pairs on its fibre.

    ``success_probability`` of an attempt, and the ``cycle`` from one to the next in seconds, are None where pairs
    come without attempts. ``rate``: pairs per second while both ends always ask, 0 where none can ever be made.
    Fidelities with Phi+: as made, and after each half has aged until its end knows of it. ``known_after``: seconds
    from the beginning of the successful attempt until both ends know. None where there is no pair.
    """

    scheme: str
    rate: float = 0.0
    success_probability: float | None = None
    cycle: float | None = None
    fidelity_as_made: float | None = None
    fidelity: float | None = None
    known_after: float | None = None


@dataclass(frozen=True, slots=True)
class ClickFigures:
    """How often a pulse clicks when it is measured in Z and in X. ``mean`` photon number; None is a single photon."""

    mean: float | None
    z: float
    x: float


def fibre_figures(link: Link) -> FibreFigures:
    """Return what becomes of a photon on the link's fibre."""
    fibre = link.devices.fibre
    return FibreFigures(
        loss_db=fibre.attenuation_db_per_km * fibre.length / 1000 + fibre.insertion_loss_db,
        transmission=transmission(fibre),
        detection=detection_probability(fibre, link.devices.pulses.detectors),
        delay=delay(fibre),
    )


def pair_figures(lab: Lab, link: Link) -> PairFigures | None:
    """Return what the link's source amounts to; None where it has none."""
    source = link.devices.source
    if source is None:
        return None
    try:
        scheme = scheme_of(source, link.devices.fibre)
    except ValueError:  # no light arrives, and there are no dark counts
        return PairFigures(source.scheme)
    first, second = (lab.nodes[end].devices.memories for end in link.endpoints)
    trials = scheme.process if isinstance(scheme.process, Trials) else None
    return PairFigures(
        scheme=source.scheme,
        rate=1 / scheme.process.mean,
        success_probability=trials.probability if trials else None,
        cycle=trials.cycle if trials else None,
        fidelity_as_made=fidelity(scheme.state, bell_state(0, 0)),
        fidelity=heralded_fidelity(scheme, (first, second)),
        known_after=max(scheme.heralded_after),
    )


def click_figures(link: Link) -> list[ClickFigures]:
    """Return how often the link's pulses click, one entry for each intensity of its transmitter."""
    fibre, pulses = link.devices.fibre, link.devices.pulses
    return [
        ClickFigures(
            mean,
            z=click_probability(fibre, pulses, mean, "Z"),
            x=click_probability(fibre, pulses, mean, "X"),
        )
        for mean in pulses.intensities or (None,)
    ]
