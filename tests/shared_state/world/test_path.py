"""Taps divide a fibre wherever they are, down to its ends."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from shared_state.config import FibreConfig, LinkDevices, TapConfig
from shared_state.world.fibre import delay, transmission
from shared_state.world.path import path_of
from shared_state.world.taps import Tap


def attached(taps: dict[str, TapConfig]) -> dict[str, Tap]:
    return {name: Tap(config, np.random.default_rng(1)) for name, config in taps.items()}


@pytest.mark.parametrize("sender", ["alice", "bob"])
def test_a_tapped_fibre_delays_and_loses_what_the_whole_does(sender: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(300):  # lengths at which rounding goes either way
        length = rng.uniform(1e3, 1e5)
        fibre = FibreConfig(length, insertion_loss_db=1.0)
        positions = [0.0, *(length * rng.random(3)), length]
        taps = {str(number): TapConfig("ab", position=at) for number, at in enumerate(positions)}
        path = path_of(LinkDevices(("alice", "bob"), fibre), sender, attached(taps), np.random.default_rng(1))
        stretches = [stretch for stretch, _ in path.stretches]
        assert [tap is None for _, tap in path.stretches] == [False] * len(taps) + [True]
        assert sum(map(delay, stretches)) == pytest.approx(delay(fibre), rel=1e-9)
        assert prod(map(transmission, stretches)) == pytest.approx(transmission(fibre), rel=1e-9)


def test_light_meets_the_taps_in_the_order_of_its_way() -> None:
    taps = {
        "near": TapConfig("ab", fraction=0.1, position=100.0),
        "far": TapConfig("ab", fraction=0.9, position=700.0),
    }
    devices = LinkDevices(("alice", "bob"), FibreConfig(1000.0))
    for sender, lengths, fractions in (
        ("alice", [100, 600, 300], [0.1, 0.9]),
        ("bob", [300, 600, 100], [0.9, 0.1]),
    ):
        path = path_of(devices, sender, attached(taps), np.random.default_rng(1))
        assert [stretch.length for stretch, _ in path.stretches] == pytest.approx(lengths)
        assert [tap.config.fraction for _, tap in path.stretches if tap is not None] == fractions


def test_a_tap_off_the_fibre_is_no_tap_of_this_link() -> None:
    taps = {"eve": TapConfig("ab", position=1000.1)}
    for sender in ("alice", "bob"):
        with pytest.raises(ValueError, match="not on a fibre"):
            path_of(
                LinkDevices(("alice", "bob"), FibreConfig(1000.0)),
                sender,
                attached(taps),
                np.random.default_rng(1),
            )
