"""The key management entity's HTTPS server: TLS 1.3 with certificates on both sides, around ``nodes.keys.etsi014``.

Who calls is said by the one uniform resource name in the subjectAltName of the client's certificate, never by its
common name, and must be an SAE that this node serves. Nothing here records a body, and no client is remembered: every
connection begins with a full handshake.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from aiohttp import web
from cryptography import x509

from nodes.errors import NodeError
from nodes.keys.batching import Keys
from nodes.keys.etsi014 import METHODS, Answer, Call, Etsi014, Method, error_of
from nodes.keys.etsi014_requests import CallRefused
from nodes.runtime.kme_config import KmeConfig, sae_name

_HANDSHAKE_WITHIN: Final = 10.0
_CLOSE_WITHIN: Final = 5.0
_CONNECTIONS: Final = 1024


class TlsUnavailable(NodeError):
    """The TLS that is asked for cannot be spoken on this machine."""


class PortUnavailable(NodeError):
    """The KME cannot listen where it is told to."""

    def __init__(self, config: KmeConfig, why: OSError) -> None:
        reason = os.strerror(why.errno).lower() if why.errno else str(why)
        super().__init__(
            f"the KME of node '{config.node}' cannot listen on {config.host}:{config.port}: {reason}; "
            "write another port below its services.etsi014, or none to take a free one"
        )


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody has called: for the record. ``sae`` is empty where the certificate names none that is served here.

    ``keys``: how many were delivered; ``reason``: why none.
    """

    sae: str
    verb: str
    path: str
    status: int
    keys: int
    reason: str


Note = Callable[[Access], None]


@dataclass(frozen=True, slots=True)
class RunningKme:
    """A server that takes connections. ``port``: where it does so."""

    host: str
    port: int


@asynccontextmanager
async def serve_kme(
    config: KmeConfig, keys: Keys, note: Note = lambda access: None
) -> AsyncIterator[RunningKme]:
    """Serve ``keys`` to the SAEs of the node inside the block; at its end, calls under way are answered first.

    Raise ``PortUnavailable`` when it cannot listen there, ``OSError`` when a certificate cannot be read,
    ``TlsUnavailable``, and ``ssl.SSLError`` or, with post-quantum TLS, ``OpenSSL.SSL.Error`` when one cannot be used.
    """
    app = web.Application(client_max_size=65536 + 256 * keys.limits.max_key_per_request)
    app.router.add_route("*", "/{path:.*}", _Front(config, keys, note).handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_WITHIN, auto_decompress=False)
    await runner.setup()
    try:
        server = await _listen(config, runner)
        try:
            yield RunningKme(*server.sockets[0].getsockname()[:2])
        finally:
            server.close()
    finally:
        await _close(runner)


async def _close(runner: web.AppRunner) -> None:
    """Answer what is under way, and close all connections, whether or not the clients say goodbye in turn."""
    assert runner.server is not None
    transports = [connection.transport for connection in runner.server.connections]
    await runner.cleanup()
    for transport in transports:
        if transport is not None:
            transport.abort()
    await asyncio.sleep(0)  # in which they are closed


async def _listen(config: KmeConfig, runner: web.AppRunner) -> asyncio.Server:
    loop, on_top = asyncio.get_running_loop(), runner.server
    assert on_top is not None
    if config.tls == "post-quantum":
        try:
            from nodes.runtime import pq_tls
        except ImportError as error:
            raise TlsUnavailable("post-quantum TLS needs pyOpenSSL: pip install 'bellwire[pq]'") from error
        context = pq_tls.server_context(config.certificate, config.key, config.authority)
        make = lambda: pq_tls.PqProtocol(context, on_top)  # noqa: E731
        listening = loop.create_server(make, config.host, config.port, backlog=_CONNECTIONS)
    else:
        listening = loop.create_server(
            on_top,
            config.host,
            config.port,
            ssl=server_context(config),
            backlog=_CONNECTIONS,
            ssl_handshake_timeout=_HANDSHAKE_WITHIN,
        )
    try:
        return await listening
    except OSError as error:
        raise PortUnavailable(config, error) from error


def server_context(config: KmeConfig) -> ssl.SSLContext:
    """Return the TLS of a server whose clients show a certificate of the lab's authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(config.certificate, config.key)
    context.load_verify_locations(config.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.num_tickets = 0
    return context


@lru_cache(maxsize=_CONNECTIONS)
def names_in(certificate: bytes) -> tuple[str, ...]:
    """Return the uniform resource identifiers in the subjectAltName of a certificate in DER; none of a faulty one."""
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return ()
    return tuple(names.get_values_for_type(x509.UniformResourceIdentifier))


class _Front:
    """From a request of HTTP to a call of the API, and back."""

    def __init__(self, config: KmeConfig, keys: Keys, note: Note) -> None:
        self._node = config.node
        self._homes = config.saes
        self._saes = {sae_name(config.lab, sae): sae for sae in config.saes}
        self._api = Etsi014(keys, reproducible=config.deliver_reproducible)
        self._note = note

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        sae = ""
        allowed: tuple[str, ...] = ()
        try:
            sae = self._caller(request)
            other, method, allowed = _route(request.rel_url.raw_path)
            if request.method not in allowed:
                raise CallRefused(405, f"{method} is called by {' or '.join(allowed)}")
            body = await _body(request) if request.method == "POST" else None
            call = Call(method, sae, other, list(request.query.items()), body)
            answer = await self._api.answer(call)
        except CallRefused as refusal:
            answer = error_of(refusal)
        path = request.rel_url.raw_path[:200]
        self._note(Access(sae, request.method, path, answer.status, answer.keys, answer.reason))
        return _response(answer, allowed)

    def _caller(self, request: web.Request) -> str:
        """Return the SAE whose certificate the client has proved to own. Raise ``CallRefused``."""
        tls = request.transport and request.transport.get_extra_info("ssl_object")
        certificate = tls and tls.getpeercert(binary_form=True)
        match names_in(certificate) if certificate else ():
            case (name,) if (sae := self._saes.get(name)) is not None:
                if (home := self._homes[sae]) == self._node:
                    return sae
                raise CallRefused(
                    401, f"SAE '{sae}' is served by the KME of node '{home}', not by that of '{self._node}'"
                )
        raise CallRefused(401, "the certificate does not name an SAE that this KME serves")


def _route(path: str) -> tuple[str, Method, tuple[str, ...]]:
    """Take ``/api/v1/keys/{SAE ID}/{method}`` apart, with the verbs that the method knows. Raise ``CallRefused``."""
    match path.split("/"):
        case ["", "api", "v1", "keys", sae, "status" | "enc_keys" | "dec_keys" as method]:
            try:
                return unquote(sae, errors="strict"), method, METHODS[method]
            except UnicodeDecodeError:
                raise CallRefused(400, "the SAE ID in the URL is not URL-encoded UTF-8") from None
    raise CallRefused(404, "there is nothing here; see /api/v1/keys/{SAE ID}/status, enc_keys and dec_keys")


async def _body(request: web.Request) -> bytes:
    """Read the body, JSON or nothing. Raise ``CallRefused``."""
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise CallRefused(413, "the body is too long") from None
    coded = "Content-Encoding" in request.headers
    declared = request.headers.get("Content-Type") is not None
    foreign = declared and request.content_type != "application/json"
    if body and (coded or foreign or (request.charset or "utf-8").lower() != "utf-8"):
        raise CallRefused(415, "the body shall be application/json in UTF-8")
    return body


def _response(answer: Answer, allowed: tuple[str, ...]) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if answer.status == 405:
        headers["Allow"] = ", ".join(allowed)
    return web.Response(
        status=answer.status, body=answer.encoded(), content_type="application/json", headers=headers
    )
