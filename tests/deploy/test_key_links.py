"""What keeps links making keys: it begins again after whatever has ended an epoch, and says what the trouble is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from deploy import key_links
from deploy.key_links import KeyLinks, KeyLinkStatus, LinkEnds
from nodes.errors import RunFailed
from nodes.runtime.conductor import Conductor
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from tests.nodes.runtime.key_labs import EVE, LINK, Ends, agreed, world


class Kept:
    """One link that is kept making keys, and what its user was told."""

    def __init__(self, lab: Any, ends: Ends) -> None:
        self.oracle, self.ends = lab.oracle, ends
        self.lines: list[str] = []
        self.filled = 0.0
        self._links = KeyLinks(
            lab, [LinkEnds(LINK, "alice", "bob")], self.lines.append, lambda link: self.filled
        )
        self.look = self._links.look
        self.serve = self._links.serve
        self.try_again = self._links.try_again

    @property
    def status(self) -> KeyLinkStatus:
        [status] = self._links.status()
        return status

    async def until(self, holds: Callable[[KeyLinkStatus], bool]) -> KeyLinkStatus:
        """Wait until something holds of the status."""
        async with asyncio.timeout(20):
            while not holds(self.status):  # noqa: ASYNC110 - a status is looked at, as 'keys ls' does
                await asyncio.sleep(0.01)
        return self.status


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin again soon."""
    monkeypatch.setattr(key_links, "_PAUSES", (0.05, 0.05))


@asynccontextmanager
async def kept(block: int = 12_000) -> AsyncIterator[Kept]:
    ends = Ends()
    there = world("bbm92", "real-time", None)
    async with in_memory_lab(there, agreements=agreed("bbm92", block=block), stores=ends.stores) as lab:
        link = Kept(lab, ends)
        serving = asyncio.create_task(link.serve())
        try:
            yield link
            assert not serving.done()
        finally:
            serving.cancel()
            await asyncio.wait([serving])


@pytest.mark.thorough
async def test_a_link_that_was_cut_makes_keys_again_when_it_is_mended() -> None:
    async with kept() as link:
        before = await link.until(lambda status: status.blocks >= 1)
        assert (before.epochs, before.trouble) == (1, "")
        await link.oracle.set_link(LINK, False)
        cut = await link.until(lambda status: status.epochs >= 3)
        assert f"link '{LINK}' is down" in cut.trouble
        assert cut.secret_rate_bps is None
        await link.oracle.set_link(LINK, True)
        link.try_again(LINK)
        mended = await link.until(lambda status: status.blocks > cut.blocks)
        assert mended.trouble == ""
        assert mended.secret_bits > 0
    told = [line for line in link.lines if "is down" in line]
    assert len(told) <= 2, "the same trouble is told once (it shows at either end)"
    assert link.lines[-1] == f"link '{LINK}' makes keys"


@pytest.mark.thorough
async def test_eve_is_told_of_once_and_counted_block_by_block() -> None:
    # 1 in 50 bits is revealed: of 1,500 that err with 25.5 % fewer than 20 % are wrong with less than 1e-6 (4.9 sigma)
    async with kept(block=75_000) as link:
        await link.until(lambda status: status.blocks >= 1)
        await link.oracle.set_tap(EVE, True)
        tapped = await link.until(lambda status: status.alarms >= 3)
        stored = link.ends.units()
        assert tapped.refused >= 3
        assert "differ" in tapped.trouble or "are wrong" in tapped.trouble
        assert tapped.qber is not None
        assert tapped.qber > 0.2
        assert link.ends.units() == stored
        await link.oracle.set_tap(EVE, False)
        gone = await link.until(lambda status: status.blocks > tapped.blocks)
        assert (gone.trouble, gone.epochs) == ("", 1)
    assert len(link.lines) == 2
    assert link.lines[0].startswith(f"link '{LINK}' makes no keys: ")
    assert link.lines[1] == f"link '{LINK}' makes keys"


async def test_a_link_rests_while_its_stores_are_full() -> None:
    async with kept() as link:
        await link.until(lambda status: status.blocks >= 1)
        link.filled = 1.0
        link.look()
        full = await link.until(lambda status: "no room" in status.trouble)
        link.filled = 0.95
        link.look()
        await asyncio.sleep(0.1)  # longer than any pause
        assert link.status == full
        link.filled = 0.5
        link.look()
        again = await link.until(lambda status: status.blocks > full.blocks)
        assert again.epochs == full.epochs + 1


class _DiesWhenCalledOff:
    """A conductor whose node dies in the moment in which its first run is called off."""

    def __init__(self) -> None:
        self.standing = asyncio.Event()
        self.alive = True

    async def ready(self, nodes: list[str]) -> None:
        """Wait for no node."""

    async def change_of(self, *nodes: str) -> None:
        """Nothing changes any more."""
        await asyncio.Event().wait()

    async def stand(self, request: RunRequest, hear: Callable[[str, object], None]) -> None:
        self.standing.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as called_off:
            if not self.alive:
                raise
            self.alive = False
            raise RunFailed("bob", "PeerGone", "the process ended") from called_off


async def test_keeping_links_ends_though_a_run_fails_in_the_moment_in_which_it_is_called_off() -> None:
    conductor = _DiesWhenCalledOff()
    links = KeyLinks(cast(Conductor, conductor), [LinkEnds(LINK, "alice", "bob")])
    serving = asyncio.create_task(links.serve())
    await conductor.standing.wait()
    assert [status.trouble for status in links.status()] == ["no block yet"]
    serving.cancel()
    done, _ = await asyncio.wait([serving], timeout=5)
    assert done
    assert serving.cancelled()
