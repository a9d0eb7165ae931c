"""Where the control plane of a lab is: at a Unix socket of this user, or on another host, under TLS."""

from __future__ import annotations

import asyncio
import os
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from deploy.errors import NotFound
from shared_state.document import read
from shared_state.errors import DocumentInvalid
from shared_state.keepalive import keep_alive
from shared_state.tls import TlsIdentity

LAB_VARIABLE: Final = "BELLWIRE_LAB"
"""The environment variable that names a lab, or the operator's document of one on other hosts."""
OPERATOR: Final = "operator"
"""The common name of who may use a control plane over TLS."""
LONGEST_LINE: Final = 64 << 20
_CONNECT_WITHIN: Final = 10.0


class ControlAddress(Protocol):
    """The address of a control plane."""

    async def dial(self) -> tuple[StreamReader, StreamWriter]:
        """Connect. Raise ``OSError``."""


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """A Unix socket."""

    path: Path

    async def dial(self) -> tuple[StreamReader, StreamWriter]:
        """Connect. Raise ``OSError``."""
        async with asyncio.timeout(_CONNECT_WITHIN):
            return await asyncio.open_unix_connection(self.path, limit=LONGEST_LINE)

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class OperatorDocument:
    """How the operator of the lab ``name`` reaches it from elsewhere: a host, a port, and a certificate to show."""

    name: str
    host: str
    port: int
    tls: TlsIdentity

    async def dial(self) -> tuple[StreamReader, StreamWriter]:
        """Connect. Raise ``OSError``, also when this is not the lab's server, or this not its operator."""
        async with asyncio.timeout(_CONNECT_WITHIN):
            reader, writer = await asyncio.open_connection(
                self.host, self.port, ssl=self.tls.client_context(), limit=LONGEST_LINE
            )
        keep_alive(writer.get_extra_info("socket"))
        return reader, writer

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def socket(self) -> ControlAddress:
        """Return where the control plane is, as a lab's directory does."""
        return self


def document_at(running: str | None) -> OperatorDocument | None:
    """Return the operator's document that ``running`` names by its path, or the environment variable does.

    None where they name a lab of this host, or nothing. Raise ``NotFound`` for a file that is no such document.
    """
    chosen = running or os.environ.get(LAB_VARIABLE)
    if chosen is None or not chosen.endswith(".json"):
        return None
    try:
        return read(OperatorDocument, Path(chosen).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotFound(f"there is no operator's document at {chosen}: {error}") from error
    except DocumentInvalid as error:
        raise NotFound(
            f"{chosen} is no operator's document, which 'bellwire export' writes: {error}"
        ) from error
