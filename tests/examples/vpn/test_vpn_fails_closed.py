"""A VPN under test: when Eve appears on the fibre it must fail closed, and open again when she has gone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.examples.vpn.vpn import PACKETS_PER_KEY, KeySource, Receiver, Sender, TunnelClosed

if TYPE_CHECKING:
    from deploy.testing.lab import LabUnderTest

pytestmark = [pytest.mark.processes, pytest.mark.lab("vpn.yaml", clock="real-time")]

PACKET = b"the minutes of the board"


class Tunnel:
    """Both gateways, and all that has gone over the wire between them."""

    def __init__(self, north: KeySource, south: KeySource) -> None:
        self._sender, self._receiver = Sender(north), Receiver(south)
        self.wire: list[bytes] = []

    async def send(self) -> None:
        """Let one packet through."""
        self.wire.append(frame := await self._sender.seal(PACKET))
        assert await self._receiver.open(frame) == PACKET


@pytest.fixture
async def tunnel(lab: LabUnderTest) -> AsyncIterator[Tunnel]:
    """The gateways, each at the KME of its node, with keys in store."""
    north, south = lab.kme("vpn-north"), lab.kme("vpn-south")
    async with (
        KeySource(north.url, north.tls(), south.sae) as norths,
        KeySource(south.url, south.tls(), north.sae) as souths,
    ):
        await lab.events.wait_for("key.made", node="south", within=30)
        yield Tunnel(norths, souths)


async def send_until_closed(tunnel: Tunnel) -> None:
    """Send as long as the tunnel lets us."""
    async with asyncio.timeout(60):
        with suppress(TunnelClosed):
            while True:
                await tunnel.send()


async def send_when_it_is_open(tunnel: Tunnel) -> None:
    """Try again and again, as a gateway does."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await tunnel.send()
            except TunnelClosed:
                await asyncio.sleep(0.05)


async def test_when_eve_listens_the_vpn_fails_closed_and_opens_when_she_has_gone(
    lab: LabUnderTest, tunnel: Tunnel
) -> None:
    await send_when_it_is_open(tunnel)
    eve = await lab.eve.attach("fibre", fraction=1.0, at="3 km")
    alarm = await lab.events.wait_for("key.alarm", node="north", within=30)
    assert alarm["qber"] > 0.11

    await send_until_closed(tunnel)
    sent = len(tunnel.wire)
    for _ in range(10):
        with pytest.raises(TunnelClosed):
            await tunnel.send()
    assert len(tunnel.wire) == sent
    assert not any(PACKET in frame for frame in tunnel.wire)
    assert max(Counter(frame[:16] for frame in tunnel.wire).values()) <= PACKETS_PER_KEY

    await lab.eve.detach(eve)
    await lab.events.wait_for("key.made", node="south", within=30)
    await send_when_it_is_open(tunnel)


async def test_when_the_fibre_is_cut_the_vpn_fails_closed(lab: LabUnderTest, tunnel: Tunnel) -> None:
    await send_when_it_is_open(tunnel)
    await lab.link("fibre").down()
    await send_until_closed(tunnel)
