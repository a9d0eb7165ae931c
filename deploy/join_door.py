"""The door of a lab at which nodes of other hosts join: it hands each its configuration, once per token.

``nodes.runtime.joining`` has the dialogue. Who comes, and who is refused, is written in the log ``join`` with the
address from which it came; a wrong token is answered late, and the later, the oftener.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from deploy.errors import LabFailed
from deploy.join_tokens import JoinTokens, Verdict
from deploy.reluctance import Reluctance
from nodes.runtime.config import NodeConfig
from nodes.runtime.join_token import VARIABLE, JoinToken, fingerprint_of
from nodes.runtime.joining import KME_FILES
from shared_state.document import write
from shared_state.tls import TlsIdentity
from shared_state.tls_door import TlsDoor

LOG: Final = "join"
_HELLO_WITHIN: Final = 10.0
_HAND_OVER_WITHIN: Final = 30.0
_LONGEST_HELLO: Final = 4096
_AT_ONCE: Final = 32
"""Connections that may be open; more are hung up on."""


@dataclass(frozen=True, slots=True)
class JoinOffer:
    """How somebody on another host becomes ``node``: at the door's ``address``, with a ``token``."""

    node: str
    address: str
    token: str

    @property
    def command(self) -> str:
        """Return what to type there; a token among the arguments would be in the list of processes."""
        return f"{VARIABLE}={self.token} bellwire node run {self.node} --join {self.address}"


class JoinDoor:
    """The door at ``host`` and ``port`` (0 takes a free one), as ``identity``; ``document`` gives what a node is told.

    Writes to ``log``; ``tell`` hears of what the lab's user should know at once.
    """

    def __init__(
        self,
        identity: TlsIdentity,
        host: str,
        port: int,
        document: Callable[[str], NodeConfig],
        log: Path,
        tell: Callable[[str], None],
    ) -> None:
        self._identity, self._host, self._port = identity, host, port
        self._document = document
        self._log, self._tell = log, tell
        self._tokens = JoinTokens()
        self._reluctance = Reluctance()
        self._in_line: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._serving: set[asyncio.Task[None]] = set()

    def offer(self, node: str) -> JoinOffer:
        """Make a token for ``node``."""
        certificate = ssl.PEM_cert_to_DER_cert(self._identity.certificate)
        token = JoinToken(self._tokens.issue(node), fingerprint_of(certificate))
        host = f"[{self._host}]" if ":" in self._host else self._host
        return JoinOffer(node, f"{host}:{self._port}", str(token))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen inside the block. Raise ``LabFailed`` when that cannot be."""
        door = TlsDoor(self._identity.open_server_context(), self._conversation, self._note)
        try:
            self._port = await door.listen(self._host, self._port)
        except OSError as error:
            why = error.strerror or str(error)
            raise LabFailed(
                f"nodes of other hosts cannot join at {self._host}:{self._port}: {why}; write "
                "runtime: {ports: {join: PORT}} into the lab file, 0 for a free one"
            ) from error
        try:
            yield
        finally:
            door.close()
            for task in list(self._serving):
                task.cancel()
            await asyncio.gather(door.wait_closed(), *self._serving, return_exceptions=True)

    def _conversation(self) -> asyncio.Protocol:
        caller = _Caller(
            StreamReader(limit=_LONGEST_HELLO),
            lambda reader, writer: self._serve(caller.where, reader, writer),
        )
        return caller

    async def _serve(self, where: str, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._serving) >= _AT_ONCE:
            self._note(f"hung up on {where}: {_AT_ONCE} others are at the door")
            writer.close()
            return
        self._serving.add(task)
        try:
            await self._answer(where, reader, writer)
        except asyncio.CancelledError:
            pass  # the door is shut; streams complain of a task that was cancelled
        except OSError as error:
            self._note(f"{where} was lost: {str(error) or 'it took too long'}")
        finally:
            self._serving.discard(task)
            writer.close()

    async def _answer(self, where: str, reader: StreamReader, writer: StreamWriter) -> None:
        async with asyncio.timeout(_HELLO_WITHIN):
            hello = await _hello(reader)
        if hello is None:
            self._note(f"refused {where}: it has not said which node it is")
            return
        node, secret = hello
        # one at a time of each address, so that who guesses gains nothing by asking often
        async with self._in_line.setdefault(where, asyncio.Lock()):
            verdict = self._tokens.redeem(node, secret)
            if verdict is not Verdict.WELCOME:
                told = f"refused {where}, which wants to be node '{node}': {verdict.value}"
                self._note(told)
                self._tell(f"At the lab's door: {told}.")
                await asyncio.sleep(self._reluctance.wrong(where))
                refusal = f"{verdict.value}; the lab's host shows a new one with 'bellwire node token {node}'"
                writer.write(json.dumps({"refused": refusal}).encode() + b"\n")
                await writer.drain()
                return
        self._reluctance.right(where)
        self._note(f"node '{node}' is told what it is, at {where}")
        writer.write(_handed_over(self._document(node)))
        async with asyncio.timeout(_HAND_OVER_WITHIN):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    def _note(self, event: str) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')}  {event}\n")


class _Caller(StreamReaderProtocol):
    """A connection, which is asked where it comes from while it lasts."""

    where = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.where = str(transport.get_extra_info("peername")[0])
        super().connection_made(transport)


async def _hello(reader: StreamReader) -> tuple[str, bytes] | None:
    """Return the name and the secret that somebody has said, None for anything else."""
    with suppress(ValueError):  # too long, no JSON, no secret
        match json.loads(await reader.readline()):
            case {"node": str(node), "secret": str(secret)}:
                return node[:63], bytes.fromhex(secret)
    return None


def _handed_over(config: NodeConfig) -> bytes:
    """Return what a node of another host is told: nothing in it is a place on this one."""
    keys, files = replace(config.keys, store=""), dict[str, str]()
    if (kme := keys.kme) is not None:
        files = {each: getattr(kme, each).read_text() for each in KME_FILES}
        authority, certificate, key = map(Path, KME_FILES)
        keys = replace(keys, kme=replace(kme, authority=authority, certificate=certificate, key=key))
    document = json.loads(write(replace(config, keys=keys)))
    return json.dumps({"node": document, "files": files}).encode() + b"\n"
