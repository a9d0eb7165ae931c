"""A lab that is up, as a command sees it that has not brought it up: through its control plane."""

from __future__ import annotations

import asyncio
import json
from asyncio import StreamReader
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from deploy.control_address import ControlAddress, SocketAddress
from deploy.errors import ControlUnreachable, Reported
from deploy.faults import Faults
from deploy.jobs import Job
from deploy.join_door import JoinOffer
from deploy.key_pools import KeyPool
from nodes.runtime.programs import source_of
from nodes.runtime.run_request import RunResult
from shared_state.oracle import Passage, Told

SILENT_FOR_AT_MOST: Final = 30.0
"""Wall seconds for which a control plane may say nothing, which gives a sign of life every five."""


class RemoteLab(Faults):
    """A lab that is up, seen through its control plane."""

    def __init__(self, socket: Path | ControlAddress) -> None:
        self._address = SocketAddress(socket) if isinstance(socket, Path) else socket

    async def run(self, job: Job, progress: Callable[[int], None] = lambda judged: None) -> RunResult:
        """Do a job there; see ``Laboratory.run``. Raise ``Reported`` with what was said there."""
        return RunResult(**await self._ask({"do": "run", "job": asdict(_carrying(job))}, progress))

    async def describe(self) -> dict[str, Any]:
        """Return the lab's ``name``, its ``clock`` and its ``nodes``."""
        described: dict[str, Any] = await self._ask({"do": "describe"})
        return described

    async def status(self) -> list[dict[str, Any]]:
        """Return the state of every process."""
        status: list[dict[str, Any]] = await self._ask({"do": "status"})
        return status

    async def carry_out(self, what: str, arguments: Mapping[str, Any]) -> Any:
        """Let something be broken or mended there. Raise ``Reported`` with what was said there."""
        return await self._ask({"do": "fault", "what": what, "arguments": dict(arguments)})

    async def keys(self) -> list[KeyPool]:
        """Return what the nodes have in store; see ``Laboratory.keys``."""
        return [KeyPool(**pool) for pool in await self._ask({"do": "keys"})]

    async def offer(self, node: str) -> JoinOffer:
        """Ask how somebody on another host becomes ``node``; see ``Laboratory.offer``."""
        return JoinOffer(**await self._ask({"do": "token", "node": node}))

    async def told(self) -> Told:
        """Return how many events there have been; see ``Laboratory.told``."""
        return Told(**await self._ask({"do": "told"}))

    async def events(
        self, record: str, after: int = 0, until: int | None = None
    ) -> AsyncGenerator[Passage, None]:
        """Yield the events of ``record``, which ``told`` has named, from number ``after`` on, as they come.

        They end at number ``until``, or when the lab goes down. Raise ``Reported`` when another record has begun.
        """
        request = {"do": "events", "record": record, "after": after, "until": until}
        async with aclosing(self._replies(request)) as replies:
            async for reply in replies:
                if "events" in reply:
                    yield Passage(**reply["events"])

    async def down(self) -> None:
        """Ask the lab to end."""
        await self._ask({"do": "down"})

    async def _ask(
        self, request: dict[str, Any], progress: Callable[[int], None] = lambda judged: None
    ) -> Any:
        async with aclosing(self._replies(request)) as replies:
            async for reply in replies:
                if "progress" in reply:
                    progress(reply["progress"])
        return reply["result"]

    async def _replies(self, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what is said to a request; the last one has its result.

        Raise ``Reported`` for an error, ``ControlUnreachable`` when nobody answers, or not even a sign of life comes.
        """
        try:
            reader, writer = await self._address.dial()
        except (OSError, TimeoutError) as error:
            raise ControlUnreachable(
                f"the lab's control plane at {self._address} does not answer: {str(error) or 'not in time'}"
            ) from error
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            while (line := await self._line(reader)).endswith(b"\n"):  # half a line is what a death has left
                reply: dict[str, Any] = json.loads(line)
                if "error" in reply:
                    raise Reported(reply["error"]["message"], reply["error"]["exit_code"])
                yield reply
                if "result" in reply:
                    return
        except OSError as error:
            raise ControlUnreachable(f"the lab went down meanwhile, or is cut off: {error}") from error
        finally:
            writer.transport.abort()  # all is said; TLS would wait for the other side to say so, too
            with suppress(OSError):
                await writer.wait_closed()
        raise ControlUnreachable("the lab went down meanwhile")

    async def _line(self, reader: StreamReader) -> bytes:
        try:
            async with asyncio.timeout(SILENT_FOR_AT_MOST):
                return await reader.readline()
        except TimeoutError:
            raise ControlUnreachable(
                f"the lab's control plane at {self._address} has said nothing for {SILENT_FOR_AT_MOST:g} s: "
                "its process is stopped, or its machine overloaded"
            ) from None


def _carrying(job: Job) -> Job:
    """Return a job with the text of its program's file, if that can be read here: the lab may be elsewhere."""
    readable = job.app.endswith(".py") and Path(job.app).is_file()
    return replace(job, source=source_of(job.app)) if readable else job
