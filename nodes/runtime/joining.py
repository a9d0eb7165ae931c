"""How a node joins a lab of another host: at the lab's door, by a token, it is told once what it is.

    joiner                                     door, under TLS without a client's certificate
    checks the certificate's fingerprint
    {"node": "alice", "secret": "0f..."}  -->
                                          <--  {"node": {...}, "files": {...}}     or {"refused": "..."}

What it is told is its configuration (``nodes.runtime.config``) and, where it delivers keys, the files of its KME; its
key store is in memory.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from nodes.errors import JoinRefused
from nodes.runtime.config import NodeConfig
from nodes.runtime.join_token import JoinToken, parse
from nodes.runtime.unreached import unreached
from shared_state.document import read
from shared_state.errors import DocumentInvalid

WITHIN: Final = 15.0
"""Wall seconds in which the door is found, and has answered: it is slow with who has shown it a wrong token."""
LONGEST: Final = 1 << 26
KME_FILES: Final = ("authority", "certificate", "key")


@asynccontextmanager
async def told(name: str, address: str, token: str, within: float = WITHIN) -> AsyncIterator[NodeConfig]:
    """Give the block the configuration of the node ``name``, which the lab's door at ``address`` hands over.

    ``address`` is HOST:PORT. Raise ``JoinRefused`` when there is no such door, it is another lab's, or it refuses.
    """
    host, port = parse_address(address)
    known_by = parse(token)
    try:
        async with asyncio.timeout(within):
            answer = await _ask(name, host, port, known_by)
    except (OSError, TimeoutError) as error:
        why = unreached(error, within)
        raise JoinRefused(f"node '{name}' waited for the door of its lab at {address}: {why}") from None
    match answer:
        case {"refused": str(reason)}:
            raise JoinRefused(f"the lab at {address} does not take '{name}': {reason}")
        case {"node": dict(node), "files": dict(files)}:
            with TemporaryDirectory(prefix="bellwire-join-") as directory:
                yield _placed(_config(node, name, address), files, Path(directory))
        case _:
            raise JoinRefused(f"what listens at {address} does not answer as a lab's door does")


def parse_address(address: str) -> tuple[str, int]:
    """Read HOST:PORT, or [ADDRESS]:PORT. Raise ``JoinRefused``."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]\s]+)):(\d{1,5})", address)
    if found is None or not 0 < int(found[3]) < 65536:
        raise JoinRefused(f"'{address}' is not where a lab's door is; write HOST:PORT, as in 10.77.0.1:7085")
    return found[1] or found[2], int(found[3])


async def _ask(name: str, host: str, port: int, token: JoinToken) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # the token names the one certificate that is right, whoever has signed it
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, port, ssl=context, limit=LONGEST)
    try:
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if not token.is_of(shown):
            raise JoinRefused(
                f"what listens at {host}:{port} is not the lab of this token: it shows another certificate. The token "
                "is of another lab, or of an earlier time when this one was up, or somebody is in between"
            )
        return await _exchange(reader, writer, {"node": name, "secret": token.secret.hex()})
    finally:
        writer.close()


async def _exchange(reader: StreamReader, writer: StreamWriter, request: Mapping[str, str]) -> Any:
    writer.write(json.dumps(request).encode() + b"\n")
    await writer.drain()
    line = await reader.readline()
    if not line:
        raise ConnectionResetError
    try:
        return json.loads(line)
    except ValueError:
        return None


def _config(node: Mapping[str, Any], name: str, address: str) -> NodeConfig:
    try:
        config = read(NodeConfig, json.dumps(node))
    except DocumentInvalid as error:
        raise JoinRefused(
            f"what the lab at {address} says of node '{name}' cannot be read here: {error}; is its Bellwire of another "
            "version than this one?"
        ) from None
    if config.name != name:
        raise JoinRefused(f"the lab at {address} says that '{name}' is '{config.name}'")
    return config


def _placed(config: NodeConfig, files: Mapping[str, str], directory: Path) -> NodeConfig:
    """Write the files of a node's KME where it finds them, as long as the node lives."""
    if config.keys.kme is None:
        return config
    authority, certificate, key = (directory / each for each in KME_FILES)
    for path in (authority, certificate, key):
        path.touch(mode=0o600)
        path.write_text(files[path.name])
    kme = replace(config.keys.kme, authority=authority, certificate=certificate, key=key)
    return replace(config, keys=replace(config.keys, kme=kme))
