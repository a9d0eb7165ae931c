"""What the control party orders of a node's classical channels: other ways for messages, a partition, its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from broker.envelope import Envelope
from nodes.runtime.channel import Channel
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import ChangeChannels
from nodes.runtime.turns import TurnTaker
from shared_state.client import NodeClient


class Rerouting:
    """Changes this node's ``channels``, the first of which are those of runs.

    What has waited for the end of a partition travels from then on: it takes as long as it would have taken, and what
    is sent later does not overtake it. Where time is virtual it sets off in a turn of this node at the present time.
    """

    def __init__(
        self,
        channels: Sequence[Mapping[str, Channel]],
        office: PostOffice,
        client: NodeClient,
        now: Callable[[], float],
        turns: TurnTaker | None,
    ) -> None:
        self._channels = channels
        self._office = office
        self._client = client
        self._now = now
        self._turns = turns

    async def carry_out(self, order: ChangeChannels) -> None:
        """Do what an order says; return when whatever comes of it is known to who keeps the time."""
        for way in order.ways:
            for channels in self._channels:
                channels[way.node].change(way.hops)
        self._office.partition.sever(order.severed)
        if self._turns is None:
            self._office.release(self._arrival)
            return
        self._turns.stir(lambda: self._office.release(self._arrival))
        await self._client.sync()

    def _arrival(self, envelope: Envelope) -> float:
        travel = envelope.arrives_at - envelope.sent_at
        return self._channels[0][envelope.recipient].no_earlier(self._now() + travel)
