"""No device is described that cannot exist: every number is checked when its configuration is made."""

from __future__ import annotations

from dataclasses import MISSING, fields
from math import inf, nan
from typing import Any

import pytest

from shared_state import config
from shared_state.config import (
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    PhotonPairSource,
    PulseConfig,
    SingleClickSource,
    TapConfig,
    WorldConfig,
)
from shared_state.ranges import RANGES, InRange

KINDS = [kind for kind in vars(config).values() if isinstance(kind, type) and issubclass(kind, InRange)]
REQUIRED: dict[str, Any] = {
    "length": 1e3,
    "link": "ab",
    "lab": "lab",
    "world": WorldConfig({}, {}),
    "credentials": {},
    "oracle_token": "token",
}
NUMBERS = [(kind, field.name) for kind in KINDS if kind is not InRange for field in fields(kind)]  # type: ignore[arg-type]


def made(kind: type, **values: Any) -> object:
    needed = {field.name for field in fields(kind) if field.default is field.default_factory is MISSING}
    return kind(**{name: REQUIRED[name] for name in needed} | values)


@pytest.mark.parametrize(("kind", "name"), [number for number in NUMBERS if number[1] in RANGES])
def test_a_number_out_of_its_range_is_refused_by_name(kind: type, name: str) -> None:
    allowed = RANGES[name]
    bad = [allowed.low - 0.1, nan, -inf]
    bad += [allowed.high + 0.1] if allowed.high < inf else []
    bad += [] if allowed.low_allowed else [allowed.low]
    bad += [] if allowed.high_allowed else [allowed.high]
    several = isinstance(getattr(made(kind), name), tuple)
    for value in bad:
        with pytest.raises(ValueError, match=rf"^{kind.__name__}\.{name} is .*{value!r}.*must be "):
            made(kind, **{name: (0.5, value) if several else value})


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, id=f"{kind.__name__}.{name}")
        for kind, name in NUMBERS
        if name not in RANGES and isinstance(getattr(made(kind), name), float | int)
    ],
)
def test_only_switches_seeds_and_ports_have_no_range(name: str) -> None:
    assert name in {"multiplexed", "memories", "enabled", "seed", "port"}


def test_the_ends_of_the_ranges_are_allowed() -> None:
    for kind, name in NUMBERS:
        allowed = RANGES.get(name)
        if allowed is None or name in ("intensity_probabilities", "t1"):  # they depend on others
            continue
        several = isinstance(getattr(made(kind), name), tuple)
        good = [allowed.low] * allowed.low_allowed + [allowed.high] * allowed.high_allowed
        for value in good:
            made(kind, **{name: (value, value) if several else value})


@pytest.mark.parametrize(("t1", "t2"), [(1.0, 2.1), (0.1, 1.0), (1.0, inf)])
def test_coherence_outlives_excitation_by_a_factor_of_two_at_most(t1: float, t2: float) -> None:
    with pytest.raises(ValueError, match="more than twice T1"):
        MemoryConfig(t1=t1, t2=t2)
    MemoryConfig(t1=t1, t2=2 * t1)


@pytest.mark.parametrize("shares", [(0.5,), (0.5, 0.4), (0.5, 0.5, 0.0)])
def test_intensities_and_their_probabilities_fit_each_other(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="have the probabilities"):
        PulseConfig(intensities=(0.5, 0.1), intensity_probabilities=shares)


@pytest.mark.parametrize("length", [0.0, 1e3, 2e4])
def test_stations_and_taps_stand_on_their_fibre(length: float) -> None:
    fibre, beyond = FibreConfig(length), length + 1
    for source in (SingleClickSource, PhotonPairSource):
        LinkDevices(("a", "b"), fibre, source(midpoint=length))
        with pytest.raises(ValueError, match="is no midpoint"):
            LinkDevices(("a", "b"), fibre, source(midpoint=beyond))
    links = {"ab": LinkDevices(("a", "b"), fibre)}
    WorldConfig({}, links, {"eve": TapConfig("ab", position=length)})
    for tap in (TapConfig("ab", position=beyond), TapConfig("ba")):
        with pytest.raises(ValueError, match="does not fit a link"):
            WorldConfig({}, links, {"eve": tap})
