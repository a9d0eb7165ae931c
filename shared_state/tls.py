"""TLS between the parties of a lab: each shows a certificate of the lab's authority, and asks the other for one.

A party is the common name of its certificate: who is called alice cannot say hello as bob. A server is found by the
host names in its certificate, as any other.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Who one is under TLS, in PEM: the authority's certificate, one's own certificate, and one's own key."""

    authority: str
    certificate: str
    key: str = field(repr=False)

    def server_context(self) -> ssl.SSLContext:
        """Return what a server takes connections with: from parties of the same authority only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        return self._loaded(context)

    def open_server_context(self) -> ssl.SSLContext:
        """Return what a server takes connections with from anybody, whom it knows by other means than a certificate."""
        context = self._loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return what a client connects with: to a server of the same authority only, of the name that it dials."""
        return self._loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def _loaded(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(cadata=self.authority)
        with TemporaryDirectory() as directory:  # the library reads a chain from files only
            both = Path(directory) / "identity.pem"
            both.touch(mode=0o600)
            both.write_text(self.certificate + self.key)
            context.load_cert_chain(both)
        return context


def party_of(connection: ssl.SSLObject) -> str:
    """Return the common name in the certificate that the other side has shown."""
    certificate: dict[str, Any] = connection.getpeercert() or {}
    relatives = [dict(relative) for relative in certificate.get("subject", ())]
    names = [str(relative["commonName"]) for relative in relatives if "commonName" in relative]
    return names[0] if len(names) == 1 else ""
