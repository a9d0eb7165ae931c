"""The ways between two hosts, each port in each direction: is it open, and how long is a round trip?

    --peer, asks                               --listen, answers
    {"echo": 1}                          -->   on each port: the way there
                                         <--   {"echo": 1}
    {"back": 7083}                       -->   over any connection that works
                    <-- {"echo": 1}, {"echo": 2} ...        a connection of its own: the way back
                                         <--   {"round_trip_s": 0.0002}  or {"reason": ..., "advice": ...}

Who answers connects to nobody but the address that has asked, at ports that both were told to test. Plain TCP, and
nothing secret is said. Every wait has an end.
"""

from __future__ import annotations

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from deploy.errors import UsageError
from nodes.runtime.unreached import Unreached, unreached

PORTS: Final = (8883, 7083)
"""The broker's and the shared-state server's."""
WITHIN: Final = 5.0
"""Wall seconds for a connection, and for each answer."""
_BACK_WITHIN: Final = 3 * WITHIN
_SESSION: Final = 60.0
_ECHOES: Final = 5
_AT_ONCE: Final = 16
_LONGEST: Final = 4096
_STRANGER: Final = Unreached(
    "something listens there and is no 'bellwire doctor --listen', perhaps a lab that is up",
    "the way is open; end what listens there to test both ways",
)
_UNASKED: Final = Unreached(
    "not tested: no way there is open, so nobody could be asked", "mend the way there first, and try again"
)


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of one port, from ``start`` to ``end``; ``round_trip`` in seconds is that of the best of five
    echoes, None where there is ``trouble``."""

    start: str
    end: str
    port: int
    round_trip: float | None = None
    trouble: Unreached | None = None


@asynccontextmanager
async def answering(
    host: str | None, ports: Sequence[int], tell: Callable[[str], None] = lambda event: None
) -> AsyncIterator[None]:
    """Answer on ``ports`` of ``host``, None for all addresses, inside the block; ``tell`` hears who asks.

    Raise ``UsageError`` for a port on which one cannot listen.
    """
    answerer = _Answerer(ports, tell)
    async with AsyncExitStack() as listening:
        for port in ports:
            try:
                server = await asyncio.start_server(answerer.serve, host, port, limit=_LONGEST)
            except OSError as error:
                where = f"port {port}" if host is None else f"{host}:{port}"
                raise UsageError(
                    f"cannot listen on {where}: {error.strerror or error}; end what listens there (a lab?), or test "
                    "other ports with --ports"
                ) from error
            listening.callback(server.close)
        try:
            yield
        finally:
            await answerer.end()


async def ask(peer: str, ports: Sequence[int]) -> list[Way]:
    """Test the ways to ``peer`` and back from it, where somebody is ``answering``."""
    async with AsyncExitStack() as connections:
        there = await asyncio.gather(*(_there(peer, port, connections) for port in ports))
        lines = [line for _, line in there if line is not None]
        back = [Way(peer, "here", port, trouble=_UNASKED) for port in ports]
        if lines:
            back = [await _back(peer, port, lines[0]) for port in ports]
        return [way for way, _ in there] + back


class _Line:
    """A connection over which lines of JSON go both ways."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @property
    def here(self) -> str:
        """Return the address of this end."""
        return str(self._writer.get_extra_info("sockname")[0])

    async def ask(self, question: dict[str, Any], within: float = WITHIN) -> Any:
        """Return the answer, None for one that makes no sense. Raise ``OSError``."""
        async with asyncio.timeout(within):
            self._writer.write(json.dumps(question).encode() + b"\n")
            await self._writer.drain()
            try:
                return json.loads(await self._reader.readline())
            except ValueError:
                return None

    async def round_trip(self) -> float | None:
        """Return the shortest of some round trips in seconds, None when the other end is no doctor."""
        clock, best = asyncio.get_running_loop().time, float("inf")
        for number in range(_ECHOES):
            begun = clock()
            if await self.ask({"echo": number}) != {"echo": number}:
                return None
            best = min(best, clock() - begun)
        return best


@asynccontextmanager
async def _dialled(host: str, port: int) -> AsyncIterator[_Line]:
    """Give the block a connection. Raise ``OSError``."""
    async with asyncio.timeout(WITHIN):
        reader, writer = await asyncio.open_connection(host, port, limit=_LONGEST)
    try:
        yield _Line(reader, writer)
    finally:
        writer.close()


async def _there(peer: str, port: int, connections: AsyncExitStack) -> tuple[Way, _Line | None]:
    """Test one way there; return it, and the connection if it works."""
    try:
        line = await connections.enter_async_context(_dialled(peer, port))
    except OSError as error:
        return Way("here", peer, port, trouble=unreached(error, WITHIN)), None
    try:
        trip = await line.round_trip()
    except OSError:
        trip = None
    if trip is None:
        return Way("here", peer, port, trouble=_STRANGER), None
    return Way("here", peer, port, trip), line


async def _back(peer: str, port: int, line: _Line) -> Way:
    """Listen on one port, and let ``peer`` test the way back."""
    try:
        async with answering(line.here, [port]):
            answer = await line.ask({"back": port}, _BACK_WITHIN)
    except UsageError as error:
        what, _, advice = str(error).partition("; ")
        return Way(peer, "here", port, trouble=Unreached(what, advice))
    except OSError as error:
        return Way(peer, "here", port, trouble=unreached(error, _BACK_WITHIN))
    match answer:
        case {"round_trip_s": float(trip)}:
            return Way(peer, "here", port, trip)
        case {"reason": str(reason), "advice": str(advice)}:
            return Way(peer, "here", port, trouble=Unreached(reason, advice))
    return Way(peer, "here", port, trouble=_STRANGER)


class _Answerer:
    """Answers connections on ``ports``."""

    def __init__(self, ports: Sequence[int], tell: Callable[[str], None]) -> None:
        self._ports = ports
        self._tell = tell
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer one connection."""
        task = asyncio.current_task()
        assert task is not None
        if len(self._serving) < _AT_ONCE:
            self._serving.add(task)
            # ``end`` alone cancels this task, and streams complain of one that was cancelled
            with suppress(OSError, ValueError, asyncio.CancelledError):
                async with asyncio.timeout(_SESSION):
                    await self._answer(reader, writer)
            self._serving.discard(task)
        writer.close()

    async def end(self) -> None:
        """Hang up."""
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        asking = str(writer.get_extra_info("peername")[0])
        while line := await reader.readline():
            match json.loads(line):
                case {"echo": int(number)}:
                    answer: dict[str, Any] = {"echo": number}
                case {"back": int(port)} if port in self._ports:
                    answer = await self._go_back(asking, port)
                case {"back": int(port)}:
                    advice = "give both sides the same --ports"
                    answer = {"reason": f"port {port} is not one that is tested there", "advice": advice}
                case _:
                    return
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()

    async def _go_back(self, asking: str, port: int) -> dict[str, Any]:
        try:
            async with _dialled(asking, port) as line:
                trip = await line.round_trip()
        except OSError as error:
            trouble = unreached(error, WITHIN)
        else:
            if trip is not None:
                self._tell(f"{asking}, port {port}: both ways are open")
                return {"round_trip_s": trip}
            trouble = _STRANGER
        self._tell(f"{asking}, port {port}: the way back fails: {trouble}")
        return {"reason": trouble.reason, "advice": trouble.advice}
