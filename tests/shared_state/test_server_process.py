"""The server can be run by itself."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from shared_state.client import NodeClient
from shared_state.config import ServerConfig


@pytest.mark.processes
async def test_the_server_runs_by_itself_and_says_where(config: ServerConfig) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shared_state", "--config", "-",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(asdict(config)).encode())
        process.stdin.write_eof()
        port = json.loads(await process.stdout.readline())["port"]
        token = config.credentials["alice"]
        async with await NodeClient.connect("127.0.0.1", port, lab="lab", name="alice", token=token) as alice:
            assert alice.mode == "virtual"
            assert await alice.measure(0.0, await alice.qubit(0.0, "run"), "Z") == 0
            process.kill()
            assert "is gone" in str(await alice.lost)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
