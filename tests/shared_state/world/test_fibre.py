"""Fibre: the loss table and the latency table."""

from __future__ import annotations

from math import log10

import pytest

from shared_state.config import FibreConfig
from shared_state.world.fibre import delay, transmission


@pytest.mark.parametrize(
    ("length_km", "attenuation", "insertion", "expected"),
    [
        (0, 0.2, 0, 1.0),
        (100, 0.2, 0, 1e-2),
        (100, 0.3, 0, 1e-3),
        (100, 0.2, 10, 1e-3),
        (10 * log10(2) / 0.2, 0.2, 0, 0.5),
        (0, 0.2, 3, 10**-0.3),
    ],
)
def test_transmission_follows_the_decibels(
    length_km: float, attenuation: float, insertion: float, expected: float
) -> None:
    fibre = FibreConfig(length_km * 1e3, attenuation, insertion)
    assert transmission(fibre) == pytest.approx(expected, rel=1e-12)


def test_half_the_light_is_lost_after_fifteen_kilometres() -> None:
    assert transmission(FibreConfig(15_051.5)) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("velocity", "latency"), [(2.0e8, 500e-6), (206_753e3, 483.7e-6), (214_000e3, 467.3e-6)]
)
def test_a_hundred_kilometres_take_half_a_millisecond(velocity: float, latency: float) -> None:
    assert delay(FibreConfig(100e3, velocity=velocity)) == pytest.approx(latency, abs=5e-8)
