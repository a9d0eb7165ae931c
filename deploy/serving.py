"""What the processes of a lab serve: imported where it runs, for whoever only starts them need not wait for that."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from broker.programs.choose import Choice, choose
from broker.telemetry import JsonLinesSink
from nodes.runtime.process import serve as serve_node
from shared_state.server import serve as serve_state

if TYPE_CHECKING:
    from deploy.children import BrokerPart, NodePart, Ready, StatePart


async def broker(part: BrokerPart, ready: Ready) -> None:
    """Run a broker program until cancelled."""
    log = _write_line if part.config.tls is not None else None
    async with choose(part.config, cast(Choice, part.choice), log) as running:
        ready(running.port)
        await running.watch()


async def state(part: StatePart, ready: Ready) -> None:
    """Run a shared-state server until cancelled."""
    async with await serve_state(part.config) as server:
        ready(server.port)
        await server.watch()


async def node(part: NodePart, ready: Ready) -> None:
    """Run a node until cancelled."""
    ready(0)
    await serve_node(part.config, JsonLinesSink(sys.stderr))


def _write_line(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - it is the log of this process
