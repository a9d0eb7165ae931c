"""Run a node by itself: ``python -m nodes --config FILE``, or ``-`` for standard input.

The configuration is a NodeConfig as ``shared_state.document`` writes it; it holds secrets, so a file is for its user
alone. When the node is ready it says so in one line: {"lab": ..., "node": ...}. With ``-`` the first line is the
configuration, and the node ends with standard input. Its log, and what programs print, is on standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import redirect_stdout
from functools import partial
from typing import TextIO

from broker.errors import BrokerError
from broker.telemetry import JsonLinesSink
from nodes.errors import NodeError
from nodes.runtime.causes import root_cause
from nodes.runtime.config import NodeConfig
from nodes.runtime.process import event_loop, serve
from shared_state.document import read
from shared_state.errors import SharedStateError
from shared_state.heap import keep_small
from shared_state.lifeline import document, until_the_end


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m nodes", description="A node of a Bellwire lab")
    parser.add_argument(
        "--config", required=True, help="a NodeConfig as JSON: a file, or - for a line of standard input"
    )
    keep_small()
    with asyncio.Runner(loop_factory=event_loop) as runner, redirect_stdout(sys.stderr) as log:
        runner.run(_run(parser.parse_args().config, log))


async def _run(source: str, log: TextIO) -> None:
    text, life = await document(source)
    config = read(NodeConfig, text)
    await until_the_end(life, serve(config, JsonLinesSink(log), partial(_tell, config)))


def _tell(config: NodeConfig) -> None:
    assert sys.__stdout__ is not None
    sys.__stdout__.write(json.dumps({"lab": config.lab, "node": config.name}) + "\n")
    sys.__stdout__.flush()


if __name__ == "__main__":
    try:
        main()
    except (NodeError, BrokerError, SharedStateError, BaseExceptionGroup) as error:
        cause = root_cause(error)
        if not isinstance(cause, NodeError | BrokerError | SharedStateError):
            raise
        sys.exit(str(cause))
