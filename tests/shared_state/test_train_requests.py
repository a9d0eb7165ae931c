"""Trains whose settings the devices draw, as clients ask for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.client import NodeClient
from shared_state.config import DetectorConfig, FibreConfig, LinkDevices, PulseConfig, WorldConfig
from shared_state.errors import BadRequest, PeerLeftRun, PulseMismatch, RunClosed
from shared_state.wire import Message

LINK = "alice-charlie"
FAINT = "charlie-bob"


@pytest.fixture
def world(world: WorldConfig) -> WorldConfig:
    """Let the first link lose nothing, and of the second detect one pulse in a thousand."""
    bright: LinkDevices = replace(world.links[LINK], pulses=PulseConfig(basis_probability=0.8))
    decoy = PulseConfig(
        pulse_rate=1e9,
        intensities=(0.5, 0.1),
        intensity_probabilities=(0.9, 0.1),
        detectors=DetectorConfig(0.02, 1e-6),
    )
    faint = replace(world.links[FAINT], fibre=FibreConfig(50e3), pulses=decoy)
    return replace(world, links={LINK: bright, FAINT: faint})


@pytest.mark.parametrize("count", [1, 5, 150_000])
async def test_without_noise_both_ends_agree_where_their_bases_do(
    count: int, alice: NodeClient, charlie: NodeClient
) -> None:
    train = await alice.emit_train(0.0, "run", LINK, count)
    assert train.time == pytest.approx(count * 1e-6)
    seen = await charlie.measure_train(0.0, "run", LINK, count)
    np.testing.assert_array_equal(seen.indices, np.arange(count))
    assert seen.time == pytest.approx(train.time + 1000 / 2e8, rel=1e-6)
    tally = await alice.tally("run", train)
    sent = await alice.recall("run", train, seen.indices)
    agree = sent.bases == seen.bases
    np.testing.assert_array_equal(sent.bits[agree], seen.bits[agree])
    np.testing.assert_array_equal(tally, [[(sent.bases == 0).sum(), (sent.bases == 1).sum()]])
    assert not sent.intensities.any()


async def test_a_hundred_million_pulses_take_less_than_a_second(bob: NodeClient, charlie: NodeClient) -> None:
    count, began = 10**8, perf_counter()
    train, seen = await asyncio.gather(
        charlie.emit_train(0.0, "run", FAINT, count), bob.measure_train(0.0, "run", FAINT, count)
    )
    sent = await charlie.recall("run", train, seen.indices)
    assert perf_counter() - began < 1.0
    gain = 0.9 * (1 - np.exp(-0.5 * 0.002)) + 0.1 * (1 - np.exp(-0.1 * 0.002)) + 2e-6
    assert abs(len(seen.indices) - count * gain) <= 4.9 * np.sqrt(count * gain)
    wrong = (sent.bits != seen.bits)[sent.bases == seen.bases]
    assert wrong.mean() < 2e-6 / gain  # half of the dark counts


async def test_the_ends_must_expect_the_same_number(alice: NodeClient, charlie: NodeClient) -> None:
    await alice.emit_train(0.0, "run", LINK, 100)
    with pytest.raises(PulseMismatch, match="alice sends 100 pulses and charlie expects 101"):
        await charlie.measure_train(0.0, "run", LINK, 101)


@pytest.mark.parametrize("count", [0, -1])
async def test_a_train_has_pulses(count: int, alice: NodeClient, charlie: NodeClient) -> None:
    with pytest.raises(BadRequest, match="at least one"):
        await alice.emit_train(0.0, "run", LINK, count)
    with pytest.raises(BadRequest, match="at least one"):
        await charlie.measure_train(0.0, "run", LINK, count)


@pytest.mark.parametrize("indices", [[0, 0], [5, 3], [99, 100], [-1, 4]])
async def test_indices_that_name_no_pulse_once_are_refused_and_nothing_is_forgotten(
    indices: list[int], alice: NodeClient
) -> None:
    train = await alice.emit_train(0.0, "run", LINK, 100)
    with pytest.raises(BadRequest, match="below 100"):
        await alice.recall("run", train, np.array(indices))
    asked: Message = np.array(indices).astype("<u4").tobytes()
    with pytest.raises(BadRequest, match="below 100"):
        await alice._line.ask("recall", "run", train.parts[0][0], asked)
    assert (await alice.tally("run", train)).sum() == 100


async def test_a_train_is_recalled_once_and_by_its_sender_only(
    alice: NodeClient, charlie: NodeClient
) -> None:
    train = await alice.emit_train(0.0, "run", LINK, 100)
    none: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    for asker, run in ((charlie, "run"), (alice, "other run")):
        with pytest.raises(BadRequest, match="sent no train"):
            await asker.recall(run, train, none)
    assert len((await alice.recall("run", train, none)).bits) == 0
    with pytest.raises(BadRequest, match="recalled it before"):
        await alice.tally("run", train)


async def test_a_run_that_ends_takes_its_trains_along(alice: NodeClient, charlie: NodeClient) -> None:
    train = await alice.emit_train(0.0, "run", LINK, 100)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_refused(charlie, 2))
        await alice.close_run("run")
    assert waiting.result() == ["PeerLeftRun"]
    with pytest.raises(RunClosed):
        await alice.tally("run", train)


async def _refused(client: NodeClient, trains: int) -> list[str]:
    """Measure trains; return what was refused."""
    refused = []
    for _ in range(trains):
        try:
            await client.measure_train(0.0, "run", LINK, 100)
        except PeerLeftRun as error:
            refused.append(type(error).__name__)
    return refused
