"""Optical fibre: how much light arrives, and when."""

from __future__ import annotations

from shared_state.config import DetectorConfig, FibreConfig


def transmission(fibre: FibreConfig) -> float:
    """Return the probability 10^(-(attenuation length + insertion loss)/10) that a photon arrives."""
    loss_db = fibre.attenuation_db_per_km * fibre.length / 1000 + fibre.insertion_loss_db
    return float(10 ** (-loss_db / 10))


def delay(fibre: FibreConfig) -> float:
    """Return the propagation time length / velocity in seconds."""
    return fibre.length / fibre.velocity


def detection_probability(fibre: FibreConfig, detectors: DetectorConfig) -> float:
    """Return the probability that a photon put into the fibre makes a click: transmission times efficiency."""
    return transmission(fibre) * detectors.efficiency
