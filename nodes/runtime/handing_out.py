"""How a node gets its part in a run."""

from __future__ import annotations

from dataclasses import replace

from nodes import codec
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import PROTOCOL, RunOrder


async def hand_out(office: PostOffice, node: str, order: RunOrder) -> None:
    """Send an order to the process that the node is now: another one in its place does nothing with it.

    Raise ``PeerGone`` when there is none.
    """
    body = codec.fields_of(replace(order, process=office.processes.get(node, "")))
    at = order.started_at
    await office.send(node, order.run, PROTOCOL, codec.kind_of(order), body, at, at)
