"""Where a test's own software gets keys by ETSI GS QKD 014, and by what certificate."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from deploy.key_access import KeyAccess


@dataclass(frozen=True, slots=True)
class Kme:
    """The KME of an application ``sae``: ``url`` is what the paths of the API follow, /api/v1/keys/...

    ``authority``, ``certificate`` and ``key`` are files in PEM: whom to trust, and the application's own credential.
    """

    sae: str
    url: str
    kme_id: str
    authority: Path
    certificate: Path
    key: Path

    def tls(self) -> ssl.SSLContext:
        """Return a TLS context of Python's for a client that speaks as this application."""
        context = ssl.create_default_context(cafile=self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context


def kme_of(directory: Path, lab: str, sae: str) -> Kme:
    """Return the KME of an application. Raise ``NotFound`` for one that the lab lacks."""
    access = KeyAccess(directory, lab)
    address, own = access.of(sae), access.certificates.sae(sae)
    return Kme(sae, address.url, address.kme_id, access.certificates.authority, own.certificate, own.key)
