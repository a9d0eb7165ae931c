"""Devices on the wire: what is written is read again, and what is none is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from shared_state.config import (
    DetectorConfig,
    DoubleClickSource,
    FibreConfig,
    LinkDevices,
    PhotonPairSource,
    PulseConfig,
    SingleClickSource,
    SourceConfig,
    TapConfig,
    WernerSource,
)
from shared_state.devices import differences, link_devices, tap, written
from shared_state.wire import Decoder, encode

SOURCES: list[SourceConfig | None] = [
    None,
    WernerSource(rate=3.0, fidelity=0.8),
    SingleClickSource(alpha=(0.1, 0.2), midpoint=100.0, multiplexed=True),
    DoubleClickSource(emission=(0.5, 0.25), visibility=0.9),
    PhotonPairSource(memories=False),
]
PULSES = PulseConfig(
    1e9, (0.5, 0.1), (0.75, 0.25), 0.9, "time-bin", 0.01, 0.98, DetectorConfig(0.2, 1e-6, 5e-8, 0.01)
)


def link(source: SourceConfig | None = None) -> LinkDevices:
    """A link with nothing at its default."""
    return LinkDevices(("a", "b"), FibreConfig(1e3, 0.3, 1.5, 1.9e8), source, PULSES)


def over_the_wire(value: Any) -> Any:
    """Send a value from one end of a connection to the other."""
    (heard,) = Decoder().messages(encode(value))
    return heard


@pytest.mark.parametrize("source", SOURCES)
def test_a_link_is_the_same_on_the_other_side(source: SourceConfig | None) -> None:
    assert link_devices(over_the_wire(written(link(source)))) == link(source)


def test_an_eavesdropper_is_the_same_on_the_other_side() -> None:
    eve = TapConfig("ab", "photon-number-splitting", 0.5, "Z", 0.25, 100.0, True)
    assert tap(over_the_wire(written(eve))) == eve


def broken(*path: str, value: Any) -> Any:
    """A link of which one value, or the whole, is something else."""
    whole: Any = written(link(WernerSource()))
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return whole


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        {},
        [],
        broken("endpoints", value=["a"]),
        broken("fibre", value=None),
        broken("fibre", "colour", value="red"),
        broken("fibre", "length", value="long"),
        broken("fibre", "length", value=-1.0),
        broken("source", "scheme", value="magic"),
        broken("source", "fidelity", value=2.0),
        broken("pulses", "encoding", value="smoke"),
        broken("pulses", "detectors", value=[]),
        broken("colour", value="red"),
    ],
)
def test_what_is_no_link_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"devices|must be|colour"):
        link_devices(value)


@pytest.mark.parametrize(
    "value",
    [None, {}, {"link": "ab", "strategy": "steal"}, {"link": "ab", "fraction": 2.0}, {"link": "ab", "x": 1}],
)
def test_who_is_no_eavesdropper_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"eavesdropper|devices|must be"):
        tap(value)


def test_only_what_differs_is_told_under_its_name() -> None:
    old = LinkDevices(("a", "b"), FibreConfig(1e3), WernerSource())
    new = LinkDevices(("a", "b"), FibreConfig(2e3), WernerSource(fidelity=0.9))
    assert differences(old, new) == {"fibre.length": 2e3, "source.fidelity": 0.9}
    assert differences(old, old) == {}
