"""TLS 1.3 with the hybrid key agreement X25519MLKEM768 under asyncio, on OpenSSL 3.5 or newer by way of pyOpenSSL.

Python's own ``ssl`` is bound to the system's OpenSSL, which may know no post-quantum group; ``pyOpenSSL`` uses the one
that ``cryptography`` brings along. Here is what joins it with asyncio: bytes from the socket go into the
connection's memory, what it has to say comes out of it, and a protocol on top sees clear text.

    socket  --data_received-->  bio_write | do_handshake, recv  --data_received-->  the protocol on top
    socket  <--write----------  bio_read  | send, shutdown      <--write----------  its transport

pyOpenSSL has no way to choose groups, nor is there a need: OpenSSL offers the hybrid one first by default, and a peer
that does not know it agrees on X25519. Needs the extra ``pq``.
"""

from __future__ import annotations

import asyncio
from asyncio import transports
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

_CHUNK = 65536
_HANDSHAKE_WITHIN = 10.0
_STRICT = 0x20  # X509_V_FLAG_X509_STRICT


def server_context(certificate: Path, key: Path, authority: Path) -> SSL.Context:
    """Return the context of a server whose clients show a certificate of ``authority``. Raise ``SSL.Error``."""
    context = _context(SSL.TLS_SERVER_METHOD, certificate, key, authority)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    return context


def client_context(certificate: Path, key: Path, authority: Path) -> SSL.Context:
    """Return the context of a client that shows a certificate to servers of ``authority``. Raise ``SSL.Error``."""
    context = _context(SSL.TLS_CLIENT_METHOD, certificate, key, authority)
    context.set_verify(SSL.VERIFY_PEER)
    return context


def _context(method: int, certificate: Path, key: Path, authority: Path) -> SSL.Context:
    context = SSL.Context(method)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.load_verify_locations(str(authority))
    store = context.get_cert_store()
    assert store is not None
    store.set_flags(_STRICT)
    context.use_certificate_file(str(certificate))
    context.use_privatekey_file(str(key))  # a key that is read by Python may not be of ML-DSA
    context.check_privatekey()
    return context


class PqProtocol(asyncio.Protocol):
    """One connection of a server: TLS between its socket and the protocol that ``on_top`` makes."""

    def __init__(self, context: SSL.Context, on_top: Callable[[], asyncio.BaseProtocol]) -> None:
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._make = on_top
        self._on_top: asyncio.Protocol | None = None
        self._socket: transports.Transport
        self._deadline: asyncio.TimerHandle

    def connection_made(self, transport: transports.BaseTransport) -> None:
        """Begin a handshake, and give it up after a while."""
        assert isinstance(transport, transports.Transport)
        self._socket = transport
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(_HANDSHAKE_WITHIN, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Go on with the handshake, or pass on what a record holds."""
        self._tls.bio_write(data)
        try:
            if self._on_top is None and not self._shake_hands():
                return
            self._pass_on()
        except SSL.Error:
            self._flush()  # the alert that says why
            self._socket.close()

    def eof_received(self) -> bool:
        """Close: TLS has no half-open connections."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol on top."""
        self._deadline.cancel()
        if self._on_top is not None:
            self._on_top.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the protocol on top that the peer is slow."""
        if self._on_top is not None:
            self._on_top.pause_writing()

    def resume_writing(self) -> None:
        """Tell the protocol on top that the peer has caught up."""
        if self._on_top is not None:
            self._on_top.resume_writing()

    def _shake_hands(self) -> bool:
        """Take the handshake as far as it goes; return whether it is complete."""
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return False
        self._flush()
        self._deadline.cancel()
        on_top = self._make()
        assert isinstance(on_top, asyncio.Protocol)
        self._on_top = on_top
        on_top.connection_made(_ClearText(self._tls, self._socket, self._flush))
        return True

    def _pass_on(self) -> None:
        assert self._on_top is not None
        while not self._socket.is_closing():
            try:
                clear = self._tls.recv(_CHUNK)
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:  # the peer is done
                if not self._on_top.eof_received():
                    self._socket.close()
                break
            self._on_top.data_received(clear)
        self._flush()  # answers of TLS itself, such as to a key update

    def _flush(self) -> None:
        if self._socket.is_closing():
            return
        while True:
            try:
                self._socket.write(self._tls.bio_read(_CHUNK))
            except SSL.WantReadError:
                return


class _ClearText(transports.Transport):
    """The transport that the protocol on top writes to."""

    def __init__(self, tls: SSL.Connection, socket: transports.Transport, flush: Callable[[], None]) -> None:
        super().__init__()
        self._tls = tls
        self._socket = socket
        self._flush = flush

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return this connection's TLS as ``ssl_object``, and what the socket knows."""
        if name in ("ssl_object", "sslcontext"):
            return self
        return self._socket.get_extra_info(name, default)

    def getpeercert(self, binary_form: bool = True) -> bytes | None:
        """Return the peer's certificate in DER, as ``ssl.SSLObject.getpeercert(True)`` does."""
        certificate = self._tls.get_peer_certificate(as_cryptography=True)
        return None if certificate is None else certificate.public_bytes(Encoding.DER)

    def group(self) -> str | None:
        """Name the group in which the session's keys were agreed on."""
        return self._tls.get_group_name()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if data and not self._socket.is_closing():
            rest = memoryview(data)
            while rest:
                rest = rest[self._tls.send(rest[:_CHUNK]) :]
                self._flush()

    def is_closing(self) -> bool:
        """Tell whether nothing more can be sent."""
        return self._socket.is_closing()

    def close(self) -> None:
        """Say goodbye, send what is buffered, and close."""
        if not self._socket.is_closing():
            with suppress(SSL.Error):
                self._tls.shutdown()
            self._flush()
        self._socket.close()

    def abort(self) -> None:
        """Close at once."""
        self._socket.abort()

    def can_write_eof(self) -> bool:
        """Return False: TLS has no half-open connections."""
        return False

    def pause_reading(self) -> None:
        """Receive nothing for a while."""
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Receive again."""
        self._socket.resume_reading()

    def is_reading(self) -> bool:
        """Tell whether anything is received."""
        return self._socket.is_reading()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._socket.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol on top is told to pause."""
        self._socket.set_write_buffer_limits(high, low)
