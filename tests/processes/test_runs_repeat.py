"""One lab and one seed make one record, whatever the broker, however it dawdles, and however busy the machine is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from broker.programs.choose import find_mosquitto
from deploy.jobs import Job
from deploy.laboratory import Laboratory
from deploy.launching import launcher_for
from deploy.plan import Plan
from deploy.premises import OwnPremises

pytestmark = pytest.mark.processes

LONGEST_JITTER = 0.05
"""Wall seconds for which a chunk of bytes is kept on its way to or from the broker at most."""
JOBS = (
    Job("chsh", {"alice": "alice", "bob": "bob"}, rounds=4),
    Job("teleport", rounds=1),
    Job("entangle", {"alice": "alice", "bob": "bob"}, rounds=1),
)


@asynccontextmanager
async def dawdling(host: str, port: int, chance: np.random.Generator) -> AsyncIterator[int]:
    """Stand between everybody and a broker: every chunk of bytes is late by up to ``LONGEST_JITTER``, in order."""
    ends: list[asyncio.StreamWriter] = []
    joined: set[asyncio.Task[None]] = set()
    closing = False

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(1 << 16):
                await asyncio.sleep(chance.uniform(0, LONGEST_JITTER))
                writer.write(chunk)
        writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        joined.add(task)
        task.add_done_callback(joined.discard)
        there, back = await asyncio.open_connection(host, port)
        ends.extend((writer, back))
        if closing:
            hang_up()
        await asyncio.gather(carry(reader, back), carry(there, writer))

    def hang_up() -> None:
        for end in ends:
            end.transport.abort()

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    listening: int = server.sockets[0].getsockname()[1]
    try:
        yield listening
    finally:
        closing = True
        server.close()
        hang_up()
        if joined:
            await asyncio.wait(joined)


class DawdlingPremises(OwnPremises):
    """Premises whose broker is slow by chance."""

    async def _start_broker(self) -> tuple[str, int]:
        host, port = await super()._start_broker()
        proxy = dawdling(host, port, np.random.default_rng(self._plan.world.seed))
        return "127.0.0.1", await self._resources.enter_async_context(proxy)


def _new_file(directory: Path) -> Path:
    directory.mkdir(parents=True)
    (directory / "record").write_text("{}\n")  # in place of a head
    return directory / "record"


async def _record(kind: type[OwnPremises], plan: Plan, directory: Path) -> bytes:
    record = _new_file(directory)
    premises = kind(plan, directory, launcher_for(plan, directory), record)
    async with Laboratory(plan, directory, record=record, premises=premises) as lab:
        for job in JOBS:
            await lab.run(job)
        await lab.close_record()
    return record.read_bytes()


@pytest.mark.mosquitto
@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
@pytest.mark.parametrize("seed", range(20))
async def test_the_record_is_the_same_on_either_broker_with_and_without_jitter(
    planned: Callable[..., Plan], tmp_path: Path, seed: int
) -> None:
    plans = [planned("alice-charlie-bob", broker) for broker in ("embedded", "mosquitto")]
    seeded = [replace(plan, world=replace(plan.world, seed=seed)) for plan in plans]
    records = await asyncio.gather(
        *(
            _record(kind, plan, tmp_path / kind.__name__ / plan.broker)
            for plan in seeded
            for kind in (OwnPremises, DawdlingPremises)
        )
    )
    assert records[0].count(b"\n") > 50
    assert records[0].count(b"message.delivered") >= 6
    for other in records[1:]:
        assert other.splitlines() == records[0].splitlines()
