"""What the processes of a lab serve: imported where it runs, for whoever only starts them need not wait for that."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import cast

from broker.programs.choose import Choice, choose
from broker.programs.program import BrokerConfig
from broker.telemetry import JsonLinesSink
from nodes.runtime.config import NodeConfig
from nodes.runtime.process import serve as serve_node
from shared_state.config import ServerConfig
from shared_state.server import serve as serve_state


async def broker(config: BrokerConfig, choice: str, ready: Callable[[int], None]) -> None:
    """Run a broker program until cancelled."""
    log = _write_line if config.tls is not None else None
    async with choose(config, cast(Choice, choice), log) as running:
        ready(running.port)
        await running.watch()


async def state(config: ServerConfig, ready: Callable[[int], None]) -> None:
    """Run a shared-state server until cancelled."""
    async with await serve_state(config) as server:
        ready(server.port)
        await server.watch()


async def node(config: NodeConfig, ready: Callable[[int], None]) -> None:
    """Run a node until cancelled."""
    ready(0)
    await serve_node(config, JsonLinesSink(sys.stderr))


def _write_line(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - it is the log of this process
