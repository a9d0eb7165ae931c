"""The control plane of a lab that is up: a Unix socket that only this user can reach, JSON lines both ways.

    client                                  supervisor
    {"do": "run", "job": {...}}    --->
                                   <---     {"alive": true}             every few seconds, to any request
                                   <---     {"progress": 12}            as often as rounds are judged
                                   <---     {"result": {...}}           or {"error": {"exit_code", "message"}}

    {"do": "events", "record": "5f0c", "after": 12, "until": null}
                                   --->
                                   <---     {"events": {"first": 12, "lines": [...]}}      as they come
                                   <---     {"result": null}            when the lab goes down, or at ``until``

One request a connection. A client that goes away in the middle of a run ends that run.
"""

from __future__ import annotations

import asyncio
import json
import logging
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from broker.errors import BrokerError
from deploy.control_address import LONGEST_LINE, OPERATOR
from deploy.errors import DeployError
from deploy.event_stream import stream
from deploy.jobs import Job
from deploy.laboratory import Laboratory
from nodes.errors import NodeError
from nodes.runtime.causes import root_cause
from shared_state.errors import SharedStateError
from shared_state.tls import TlsIdentity, party_of
from shared_state.tls_door import TlsDoor

SIGN_OF_LIFE_EVERY: Final = 5.0
"""Seconds: a client gives a control plane up that says nothing for several times as long."""
_LAST_WORDS_WITHIN: Final = 2.0
"""Seconds in which a client has to read that the lab goes down: one that reads nothing is not waited for."""

_log = logging.getLogger(__name__)


class ControlPlane:
    """Serves one lab, ``until_down``."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab
        self._down = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self, socket: Path) -> AsyncIterator[None]:
        """Listen on ``socket`` inside the block."""
        try:
            server = await asyncio.start_unix_server(self._serve, socket, limit=LONGEST_LINE)
        except OSError as error:
            advice = "set BELLWIRE_HOME to a shorter path" if len(str(socket)) > 100 else "see BELLWIRE_HOME"
            raise DeployError(f"cannot listen on {socket}: {error.strerror or error}; {advice}") from error
        async with self._until_left(server):
            yield

    @asynccontextmanager
    async def serving_operator(self, port: int, tls: TlsIdentity) -> AsyncIterator[None]:
        """Listen on a port of all addresses inside the block, to the lab's operator alone."""
        door = TlsDoor(tls.server_context(), self._operators_conversation)
        try:
            await door.listen("0.0.0.0", port)
        except OSError as error:
            raise DeployError(f"cannot listen on port {port}: {error.strerror or error}") from error
        try:
            async with self._until_left(door):
                yield
        finally:
            await door.wait_closed()

    async def until_down(self) -> None:
        """Wait until a client asks the lab to end; raise what makes it fail before."""
        async with asyncio.TaskGroup() as group:
            failing = group.create_task(self._lab.failed())
            told = group.create_task(self._down.wait())
            await asyncio.wait([failing, told], return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            failing.cancel()
        if not failing.cancelled():
            raise failing.result()

    def _operators_conversation(self) -> asyncio.Protocol:
        return StreamReaderProtocol(StreamReader(limit=LONGEST_LINE), self._serve_operator)

    async def _serve_operator(self, reader: StreamReader, writer: StreamWriter) -> None:
        name = party_of(writer.get_extra_info("ssl_object"))
        if name == OPERATOR:
            await self._serve(reader, writer)
            return
        where = writer.get_extra_info("peername")[0]
        _log.warning("refused '%s' from %s: the control plane is the operator's", name, where)
        writer.close()

    @asynccontextmanager
    async def _until_left(self, server: asyncio.Server | TlsDoor) -> AsyncIterator[None]:
        try:
            yield
        finally:
            server.close()
            for task in list(self._serving):
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        request: Any = None
        within: float | None = None
        with suppress(ConnectionError):
            try:
                request = json.loads(await reader.readline())
                answer = {"result": await self._unless_left(reader, writer, self._do(request, writer))}
            except asyncio.CancelledError:
                answer, within = _last_words(request), _LAST_WORDS_WITHIN
            except (
                DeployError,
                NodeError,
                BrokerError,
                SharedStateError,
                BaseExceptionGroup,
                ValueError,
            ) as error:
                cause = root_cause(error)
                answer = {"error": {"exit_code": getattr(cause, "exit_code", 1), "message": str(cause)}}
            except Exception as error:  # noqa: BLE001 - whoever has asked is told, whatever it was
                _log.exception("a request has failed")
                answer = {"error": {"exit_code": 1, "message": f"{type(error).__name__}: {error}"}}
            writer.write(json.dumps(answer).encode() + b"\n")
            try:
                async with asyncio.timeout(within):
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
            except TimeoutError:
                writer.transport.abort()
        if request == {"do": "down"}:
            self._down.set()

    async def _do(self, request: dict[str, Any], writer: StreamWriter) -> Any:
        match request:
            case {"do": "run", "job": dict(job)}:
                result = await self._lab.run(Job(**job), lambda judged: _send(writer, {"progress": judged}))
                return asdict(result)
            case {"do": "describe"}:
                plan = self._lab.plan
                return {"name": plan.lab, "clock": plan.world.clock.mode, "nodes": list(plan.nodes)}
            case {"do": "status"}:
                return [asdict(status) for status in self._lab.status()]
            case {"do": "fault", "what": str(what), "arguments": dict(arguments)}:
                return await self._lab.carry_out(what, arguments)
            case {"do": "token", "node": str(node)}:
                return asdict(self._lab.offer(node))
            case {"do": "keys"}:
                return [asdict(pool) for pool in await self._lab.keys()]
            case {"do": "told"}:
                return asdict(await self._lab.told())
            case {
                "do": "events",
                "record": str(record),
                "after": int(after),
                "until": int() | None as until,
            }:
                async with aclosing(stream(self._lab, record, after, until)) as passages:
                    async for passage in passages:
                        _send(writer, {"events": asdict(passage)})
                        await writer.drain()
                return None
            case {"do": "down"}:
                return None  # the answer goes first, see _serve
        raise DeployError(f"the control plane does not know this request: {request}")

    async def _unless_left(self, reader: StreamReader, writer: StreamWriter, work: Any) -> Any:
        """Do the work; cancel it when the client hangs up, who hears meanwhile that it is being done."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work)
            hang_up = group.create_task(reader.read(1))
            living = group.create_task(_tell_of_life(writer))
            await asyncio.wait([task, hang_up], return_when=asyncio.FIRST_COMPLETED)
            for each in (task, hang_up, living):
                each.cancel()
        return task.result()


async def _tell_of_life(writer: StreamWriter) -> None:
    while True:
        await asyncio.sleep(SIGN_OF_LIFE_EVERY)
        if not writer.transport.get_write_buffer_size():  # who reads nothing hears no more of it
            _send(writer, {"alive": True})


def _last_words(request: Any) -> dict[str, Any]:
    """Return what is said to a client when the lab goes down: events end with it, all else is cut short."""
    if isinstance(request, dict) and request.get("do") == "events":
        return {"result": None}
    return {"error": {"exit_code": 1, "message": "the lab is going down"}}


def _send(writer: StreamWriter, message: object) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
