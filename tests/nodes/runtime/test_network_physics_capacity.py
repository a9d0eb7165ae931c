"""No run of the network beats the capacity of its fibres.

Per channel use, that is attempt, a fibre of transmission eta yields at most -log2(1-eta) ebits without repeaters, and
with stations that cut it into equal parts at most that of one part (Pirandola, Laurenza, Ottaviani and Banchi 2017;
Pirandola 2019). What a run has yielded is what one-way hashing makes of its pairs: their number times the coherent
information of their mean state, over the attempts that each part of the fibre was used for. Pair sources and double
clicks need a photon to pass either arm, so their station makes no difference; that of a single click cuts its fibre
like a repeater. All yields stay below by a third or more, and by chance 120 pairs come more than six times less near.
"""

from __future__ import annotations

from math import log2
from pathlib import Path

import numpy as np
import pytest

from shared_state.config import (
    DoubleClickSource,
    FibreConfig,
    PhotonPairSource,
    SingleClickSource,
    SourceConfig,
)
from shared_state.validation.capacity import coherent_information
from tests.nodes.runtime.network_physics import delivered, heralds, row

pytestmark = pytest.mark.thorough

ATTEMPT_RATE = 100.0
"""So slow that the time of messages counts for nothing."""
PAIRS = 120
SOURCES: dict[str, SourceConfig] = {
    "pair source": PhotonPairSource(attempt_rate=ATTEMPT_RATE),
    "pair source, F = 0.97": PhotonPairSource(attempt_rate=ATTEMPT_RATE, fidelity=0.97, midpoint=0.0),
    "double click": DoubleClickSource(attempt_rate=ATTEMPT_RATE, multiplexed=True),
    "double click, V = 0.95": DoubleClickSource(
        attempt_rate=ATTEMPT_RATE, multiplexed=True, visibility=0.95, dark_count_probability=1e-7
    ),
}
LENGTHS_KM = (10.0, 100.0, 250.0)


def transmission(km: float) -> float:
    return float(10.0 ** (-0.2 * km / 10))


def bound(km: float, stations: int) -> float:
    """Return the capacity in ebits per use of a fibre with so many stations on it, at equal distances."""
    return -log2(1 - float(transmission(km) ** (1 / (stations + 1))))


async def yielded(source: SourceConfig, km: float, links: int, record: Path, window: int = 16) -> float:
    """Return the ebits per attempt that a run of the network has yielded over ``km`` of fibre in equal links."""
    world = row([source] * links, seed=61, fibres=[FibreConfig(km * 1000 / links)] * links)
    found = await delivered(world, PAIRS, record, window=window)
    # from the first herald to the last delivery, so that it is no more uses than there were
    first = min(float(times[0]) for times in heralds(record, "alice").values())
    uses = (found.at_bob[-1] - first) * ATTEMPT_RATE
    rho = found.states.mean(axis=0)
    turned = rho.reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
    each = max(0.0, coherent_information(rho), coherent_information(turned))
    return float((PAIRS - 1) * each / uses)


@pytest.mark.parametrize("km", LENGTHS_KM)
@pytest.mark.parametrize(
    ("name", "links"), [*((name, 1) for name in SOURCES), ("pair source", 2), ("double click, V = 0.95", 2)]
)
async def test_photon_pairs_and_double_clicks_stay_below_the_capacity(
    name: str, km: float, links: int, tmp_path: Path
) -> None:
    found = await yielded(SOURCES[name], km, links, tmp_path / "record")
    assert 0 < found < bound(km, links - 1)


async def test_a_repeater_is_worth_more_than_any_fibre_without_one(tmp_path: Path) -> None:
    found = await yielded(SOURCES["pair source"], 250.0, 2, tmp_path / "record")
    assert found > 10 * bound(250.0, 0)


@pytest.mark.parametrize("alpha", [0.01, 0.05])
@pytest.mark.parametrize(("km", "links"), [(25.0, 1), (300.0, 1), (200.0, 2)])
async def test_a_single_click_stays_below_the_capacity_of_a_fibre_with_its_station(
    alpha: float, km: float, links: int, tmp_path: Path
) -> None:
    source = SingleClickSource(attempt_rate=ATTEMPT_RATE, alpha=(alpha, alpha), multiplexed=True)
    found = await yielded(source, km, links, tmp_path / "record")
    # a station in the middle of each link, and repeaters between the links
    assert 0 <= found < bound(km, 2 * links - 1)
    if (alpha, km, links) == (0.05, 300.0, 1):
        assert found > bound(km, 0)  # which is what single clicks are for


@pytest.mark.parametrize("km", [10.0, 50.0])
async def test_an_ideal_pair_source_yields_its_transmission(km: float, tmp_path: Path) -> None:
    found = await yielded(SOURCES["pair source"], km, 1, tmp_path / "record", window=32)
    eta = transmission(km)
    # found = (N - 1) / (a sum of N - 1 geometric numbers)
    assert abs(1 / found - 1 / eta) < 5 * np.sqrt((1 - eta) / eta**2 / (PAIRS - 1))
