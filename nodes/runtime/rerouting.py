"""What the control party orders of a node's classical channels: other ways for messages, a partition, its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from broker.envelope import Envelope
from nodes.runtime import key_plane
from nodes.runtime.channel import Channel
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import ChangeChannels
from nodes.runtime.turns import TurnTaker
from shared_state.client import NodeClient


class Rerouting:
    """Changes this node's ``channels`` for runs, and those ``for_keys``, on which its key manager speaks.

    What has waited for the end of a partition travels from then on: it takes as long as it would have taken, and what
    is sent later does not overtake it. Where time is virtual it sets off in a turn of this node at the present time.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        for_keys: Mapping[str, Channel],
        office: PostOffice,
        client: NodeClient,
        now: Callable[[], float],
        turns: TurnTaker | None,
    ) -> None:
        self._channels = channels
        self._for_keys = for_keys
        self._office = office
        self._client = client
        self._now = now
        self._turns = turns

    async def carry_out(self, order: ChangeChannels, at: float) -> None:
        """Do what an order says that was given ``at`` an emulated time.

        Return when whatever comes of it is known to who keeps the time.
        """
        for way in order.ways:
            for channels in (self._channels, self._for_keys):
                channels[way.node].change(way.hops, max(at, self._now()))
        self._office.partition.sever(order.severed)
        if self._turns is None:
            self._office.release(self._arrival)
            return
        self._turns.stir(lambda: self._office.release(self._arrival))
        await self._client.sync()

    def _arrival(self, envelope: Envelope) -> float:
        travel = envelope.arrives_at - envelope.sent_at
        channels = self._for_keys if envelope.protocol == key_plane.PROTOCOL else self._channels
        return channels[envelope.recipient].no_earlier(self._now() + travel)
