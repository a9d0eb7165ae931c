"""Run the server by itself: ``python -m shared_state --config FILE``, or ``-`` for standard input.

The configuration is a ServerConfig in JSON. When the server listens it says so in one line: {"port": ...}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path

import dacite

from shared_state.config import ServerConfig
from shared_state.server import serve


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m shared_state", description="Bellwire's shared-state server"
    )
    parser.add_argument(
        "--config", required=True, help="a ServerConfig as JSON: a file, or - for standard input"
    )
    source = parser.parse_args().config
    text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    # JSON has arrays only, and knows no difference between 1 and 1.0
    checks = dacite.Config(strict=True, cast=[tuple], type_hooks={float: float})
    config = dacite.from_dict(ServerConfig, json.loads(text), config=checks)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(config))


async def _serve(config: ServerConfig) -> None:
    async with await serve(config) as server:
        sys.stdout.write(json.dumps({"port": server.port}) + "\n")
        sys.stdout.flush()
        await server.watch()


if __name__ == "__main__":
    main()
