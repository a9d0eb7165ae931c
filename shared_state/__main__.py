"""Run the server by itself: ``python -m shared_state --config FILE``, or ``-`` for standard input.

The configuration is a ServerConfig as ``shared_state.document`` writes it. When the server listens it says so in one
line: {"port": ...}. With ``-`` the first line is the configuration, and the server ends with standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from shared_state.config import ServerConfig
from shared_state.document import read
from shared_state.errors import SharedStateError
from shared_state.heap import keep_small
from shared_state.lifeline import document, until_the_end
from shared_state.server import serve


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m shared_state", description="Bellwire's shared-state server"
    )
    parser.add_argument(
        "--config", required=True, help="a ServerConfig as JSON: a file, or - for a line of standard input"
    )
    keep_small()
    asyncio.run(_run(parser.parse_args().config))


async def _run(source: str) -> None:
    text, life = await document(source)
    await until_the_end(life, _serve(read(ServerConfig, text)))


async def _serve(config: ServerConfig) -> None:
    async with await serve(config) as server:
        sys.stdout.write(json.dumps({"port": server.port}) + "\n")
        sys.stdout.flush()
        await server.watch()


if __name__ == "__main__":
    try:
        main()
    except SharedStateError as error:
        sys.exit(str(error))
