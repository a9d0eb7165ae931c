"""A party's session with the shared-state server: what nodes and the oracle have in common."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Literal, Self

from shared_state.config import ClockMode
from shared_state.dialling import TcpDialler
from shared_state.errors import ServerLost
from shared_state.line import Line
from shared_state.tls import TlsIdentity
from shared_state.wire import Message


class Party:
    """A session with the shared-state server. Use it with ``async with``: leaving the block says goodbye."""

    role: Literal["node", "oracle"]

    def __init__(self, line: Line) -> None:
        self._line = line
        self._tasks = AsyncExitStack()

    @classmethod
    async def connect(
        cls, host: str, port: int, *, lab: str, name: str, token: str, tls: TlsIdentity | None = None
    ) -> Self:
        """Open a session over TCP, and over TLS where this party has an identity for it.

        Raises:
            AdmissionError: the server does not let this party in, for the reason stated.
            ServerLost: nobody answers at this address.
        """
        context = None if tls is None else tls.client_context()
        line = Line(TcpDialler(host, port, context), lab=lab, name=name, token=token, role=cls.role)
        await line.open()
        return cls(line)

    @property
    def lost(self) -> asyncio.Future[ServerLost]:
        """Resolve, with the error as its result, when the server is gone for good; open requests raise it."""
        return self._line.lost

    @property
    def mode(self) -> ClockMode:
        """How emulated time passes in this lab."""
        return self._line.welcome.mode

    @property
    def scale(self) -> float:
        """Emulated seconds per wall second, in real-time mode."""
        return self._line.welcome.scale

    @property
    def lease(self) -> float:
        """Wall seconds for which the server keeps this session while the connection is down."""
        return self._line.welcome.lease

    async def sync(self) -> None:
        """Wait until everything posted so far was applied; raise the first failure among it."""
        await self._line.ask("sync")

    async def close(self) -> None:
        """End the session: what it holds is traced out, who waits for it is told. Safe to call twice."""
        await self._line.close()

    async def __aenter__(self) -> Self:
        await self._tasks.enter_async_context(self._line.kept_connected())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        finally:
            await self._tasks.aclose()


def integer(value: Message) -> int:
    if not isinstance(value, int):
        raise TypeError(f"the server answered {value!r} where an integer belongs")
    return value


def number(value: Message) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"the server answered {value!r} where a number belongs")
    return float(value)


def binary(value: Message) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"the server answered {value!r} where bytes belong")
    return value


def fields(value: Message) -> list[Message]:
    if not isinstance(value, list):
        raise TypeError(f"the server answered {value!r} where several fields belong")
    return value
