"""What the control party tells nodes outside of runs, in a session of its own, and they confirm."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from nodes import codec
from nodes.errors import DeadlinePassed, PeerGone
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import PROTOCOL, ChangeChannels, EndOthers

ANSWER_WITHIN: Final = 10.0
"""Wall seconds for a node to do what it is told."""


async def instruct(
    office: PostOffice, session: str, orders: Mapping[str, EndOthers | ChangeChannels], at: float
) -> set[str]:
    """Tell each node its order, at an emulated time; return those that have gone, or are silent for 10 s."""
    silent = set[str]()

    async def tell(node: str) -> None:
        kind, body = codec.kind_of(orders[node]), codec.fields_of(orders[node])
        try:
            await office.send(node, session, PROTOCOL, kind, body, at, at)
            await office.receive(node, session, f"that it has done {kind}", ANSWER_WITHIN)
        except (PeerGone, DeadlinePassed):
            silent.add(node)

    office.begin_run(session, orders)
    try:
        async with asyncio.TaskGroup() as group:
            for node in orders:
                group.create_task(tell(node))
    finally:
        office.end_run(session)
    return silent
