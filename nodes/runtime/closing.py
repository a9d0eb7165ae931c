"""How a run ends at a node.

control                                node
RunOver           --->                           let all of it go
                  <---                 RunClosed      nothing of it is left here
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from nodes import codec
from nodes.errors import DeadlinePassed, PeerGone
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import PROTOCOL, RunOver

CLOSE_WITHIN: Final = 10.0
"""Wall seconds for a node to let go what it holds of a run."""


async def close_at(office: PostOffice, run: str, node: str, reason: str) -> None:
    """Tell a node that a run is over; wait until it holds nothing of it.

    The shared-state server cleans up behind one that is not there any more.
    """
    over = codec.fields_of(RunOver(reason))
    with suppress(PeerGone):
        await office.send(node, run, PROTOCOL, "RunOver", over, 0.0, 0.0)
    with suppress(PeerGone, DeadlinePassed):
        closed = "that it closed the run"
        while (await office.receive(node, run, closed, CLOSE_WITHIN)).kind != "RunClosed":
            pass  # reports that nobody will judge
