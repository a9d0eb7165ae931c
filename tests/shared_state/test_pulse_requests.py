"""Trains of pulses and taps, as clients ask for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from shared_state.arguments import MAX_PULSES
from shared_state.client import NodeClient
from shared_state.config import LinkDevices, PulseConfig, WorldConfig
from shared_state.errors import BadRequest, LimitExceeded
from shared_state.oracle import OracleClient
from shared_state.wire import Message

LINK = "alice-charlie"


@pytest.fixture
def world(world: WorldConfig) -> WorldConfig:
    """Let the first link have a transmitter of coherent pulses, one intensity blinding and one dark."""
    link: LinkDevices = world.links[LINK]
    bright = replace(link, pulses=PulseConfig(intensities=(60.0, 0.0)))
    return replace(world, links={**world.links, LINK: bright})


@pytest.mark.parametrize("count", [1, MAX_PULSES, MAX_PULSES + 5])
async def test_a_train_of_any_length_arrives_in_order(
    count: int, alice: NodeClient, charlie: NodeClient
) -> None:
    rng = np.random.default_rng(2)
    bits, bases, codes = (rng.integers(0, 2, count, dtype=np.uint8) for _ in range(3))
    left = await alice.emit_pulses(0.0, "run", LINK, bits, bases, codes)
    assert left == pytest.approx(count * 1e-6)
    seen = await charlie.measure_pulses(0.0, "run", LINK, bases)
    np.testing.assert_array_equal(seen.clicked, 1 - codes)
    np.testing.assert_array_equal(seen.bits, bits & seen.clicked)


async def test_a_request_for_more_pulses_than_a_server_takes_is_refused(charlie: NodeClient) -> None:
    too_many: list[Message] = [MAX_PULSES + 1, bytes(MAX_PULSES // 8 + 1)]
    with pytest.raises(LimitExceeded, match="several trains"):
        await charlie._line.ask("measure_pulses", 0.0, "run", LINK, too_many)


async def test_an_intensity_that_the_transmitter_lacks_is_refused(alice: NodeClient) -> None:
    bits = np.zeros(3, dtype=np.uint8)
    with pytest.raises(BadRequest, match="intensity 2"):
        await alice.emit_pulses(0.0, "run", LINK, bits, bits, bits + 2)


async def test_the_oracle_reads_what_a_tap_has_done(
    alice: NodeClient, charlie: NodeClient, oracle: OracleClient
) -> None:
    bits = np.zeros(100, dtype=np.uint8)
    for enabled in (True, False):
        await oracle.set_tap("eve", enabled)
        await asyncio.gather(
            alice.emit_pulses(0.0, "run", LINK, bits, bits), charlie.measure_pulses(0.0, "run", LINK, bits)
        )
        report = await oracle.tap_report("eve")
        assert report.pulses == report.resent == 100
        assert report.kept > 100
    with pytest.raises(BadRequest, match="no tap 'mallory'"):
        await oracle.tap_report("mallory")


async def test_a_train_without_a_pulse_is_refused(alice: NodeClient) -> None:
    none = np.zeros(0, dtype=np.uint8)
    with pytest.raises(BadRequest, match="at least one pulse"):
        await alice.emit_pulses(0.0, "run", LINK, none, none)
    with pytest.raises(BadRequest, match="at least one pulse"):
        await alice.measure_pulses(0.0, "run", LINK, none)
