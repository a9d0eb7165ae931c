"""The program ``network-qkd``: a key of two nodes that no fibre connects, of which the repeaters learn nothing."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.errors import RunFailed
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import (
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    TapConfig,
    WernerSource,
    WorldConfig,
)
from tests.nodes.runtime.key_labs import TWO, Ends


def row(eve: TapConfig | None = None) -> WorldConfig:
    """alice - repeater - bob, with good pairs and many memories, and perhaps Eve on the second fibre."""
    names = ("alice", "repeater", "bob")
    source = WernerSource(rate=1e6, fidelity=0.995)
    links = {
        f"{first}-{second}": LinkDevices((first, second), FibreConfig(1e3), source)
        for first, second in (names[:2], names[1:])
    }
    nodes = {name: NodeDevices(MemoryConfig(count=256)) for name in names}
    return WorldConfig(nodes, links, {} if eve is None else {"eve": eve}, seed=7)


async def told(ends: Ends, there: WorldConfig | None = None, **parameters: Any) -> dict[str, Any]:
    """Make a key; return the report that both ends agree on."""
    async with in_memory_lab(there or row(), stores=ends.stores) as lab:
        result = await lab.run(RunRequest("network-qkd", TWO, 1, parameters, deadline=60.0))
    mine, his = (replace_duration(result.returned[0][role]) for role in ("alice", "bob"))
    assert mine == his
    return mine


def replace_duration(report: dict[str, Any]) -> dict[str, Any]:
    return {**report, "duration_s": 0.0}


@pytest.mark.thorough
async def test_both_ends_of_a_chain_store_the_same_key() -> None:
    ends = Ends()
    report = await told(ends, reconciliation="cascade", pairs=4000)
    assert not report["aborted"], report["reason"]
    assert (report["protocol"], report["reconciliation"]) == ("bbm92", "cascade")
    assert ends.units()[0] == ends.units()[1] == report["secret_bits"] // 256 > 0
    ends.take_all()


@pytest.mark.thorough
async def test_eve_between_the_repeaters_raises_the_alarm_and_no_key_is_stored() -> None:
    ends = Ends()
    eve = TapConfig("repeater-bob", enabled=True)
    report = await told(ends, row(eve), pairs=600)
    assert report["aborted"]
    assert report["alarm"]
    assert report["qber"] > 0.1
    assert ends.units() == (0, 0)


@pytest.mark.parametrize("protocol", ["bbm92", "e91"])
async def test_too_few_pairs_make_no_key_and_no_alarm(protocol: str) -> None:
    ends = Ends()
    report = await told(ends, protocol=protocol, pairs=100)
    assert report["aborted"]
    assert not report["alarm"]
    assert ends.units() == (0, 0)


@pytest.mark.parametrize("protocol", ["bb84", "decoy-bb84", "b92"])
async def test_a_protocol_of_photons_takes_a_fibre(protocol: str) -> None:
    with pytest.raises(RunFailed, match="over the network choose bbm92 or e91"):
        await told(Ends(), protocol=protocol)
