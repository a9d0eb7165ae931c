"""A cut has its time in the journal and its place in a picture: a server that comes back knows what was lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from shared_state.client import NodeClient
from shared_state.config import ClockConfig, ServerConfig, WernerSource
from shared_state.errors import LinkDown
from shared_state.journal import Journal
from shared_state.oracle import OracleClient
from shared_state.service import Service
from shared_state.standing import Standing

LINK = "alice-charlie"


def told(standing: Standing) -> dict[str, list[bytes | None]]:
    """Return every answer that a session keeps."""
    return {
        name: [answer.frame for answer in session._answers]
        for (_, name), session in standing.sessions.items()
    }


@pytest.mark.parametrize("pictured", [True, False])
async def test_what_a_cut_has_lost_is_lost_after_a_restart_long_after_the_herald(
    config: ServerConfig, tmp_path: Path, pictured: bool
) -> None:
    links = {name: replace(link, source=WernerSource(rate=1.0)) for name, link in config.world.links.items()}
    config = replace(config, world=replace(config.world, links=links, clock=ClockConfig("real-time")))
    journal = Journal(tmp_path / "journal", config, 0.0)
    wall = [0.0]
    service = Service(config, lambda: wall[0], journal)
    alice, charlie = [await NodeClient.local(service, name=name) for name in ("alice", "charlie")]
    oracle = await OracleClient.local(service)
    early, _ = await asyncio.gather(alice.pair(0.0, "run", LINK), charlie.pair(0.0, "run", LINK))
    late, _ = await asyncio.gather(alice.pair(0.0, "run", LINK), charlie.pair(0.0, "run", LINK))
    wall[0] = (early.time + late.time) / 2
    await oracle.set_link(LINK, False)
    if pictured:
        journal.work(1e9)  # it is time for a picture
        await oracle.census()
    before = told(service._standing)
    journal.close()

    again = Journal(tmp_path / "journal", config, late.time + 50.0)
    assert (again.picture() is not None) is pictured
    service = Service(config, lambda: wall[0], again)
    standing = service._standing
    assert pictured or told(standing) == before
    assert standing.nature.clock.now() > late.time
    assert standing._dispatch.links.ends.down == {LINK}
    kept, lost = (standing.nature.ledger.held_by("alice", half.qubit) for half in (early, late))
    assert kept.bereaved is None
    assert kept.partner is not None
    assert lost.partner is None
    with pytest.raises(LinkDown, match=f"the herald of pair {LINK}/2"):
        standing.nature.measure("alice", late.time, late.qubit, "Z")
    again.close()
