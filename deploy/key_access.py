"""How a program outside of a lab fetches keys in it: where the KMEs listen, and the credentials of each SAE.

Below the lab's directory, for its user alone: ``keys/kme.json``, and ``certificates/`` as in ``deploy.certificates``.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from deploy.certificates import Certificates
from deploy.errors import ControlUnreachable, NotFound, Reported, UsageError
from deploy.whole_files import write_whole
from deploy.wording import one_of, unknown
from nodes.keys.errors import KEYS_NOT_FOUND

HOST: Final = "127.0.0.1"
_PATIENCE: Final = 30.0
_EXIT_CODES: Final = {400: 2, 401: 8, 503: 9}
"""What a refusal is to the user: a request that cannot be meant, not their key, a resource that is used up."""
_ADVICE: Final[dict[str | int, str]] = {
    503: " ('bellwire keys ls' shows what is in store and what keeps links from making more)",
    KEYS_NOT_FOUND: " (a key waits for the SAE that it was made for, and is delivered to it once)",
}


@dataclass(frozen=True, slots=True)
class KmeAddress:
    """Where a node's KME listens on the loopback address, its KME ID, and the SAEs it serves."""

    port: int
    kme_id: str
    saes: tuple[str, ...]

    @property
    def url(self) -> str:
        """Return what the paths of the API follow."""
        return f"https://{HOST}:{self.port}"


def write_addresses(directory: Path, addresses: Mapping[str, KmeAddress]) -> None:
    """Write where the KMEs of a lab are, by node, whole or not at all."""
    folder = directory / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    document = {node: asdict(address) for node, address in addresses.items()}
    write_whole(folder / "kme.json", json.dumps(document))


class KeyAccess:
    """The KMEs of the lab ``lab`` that is up in ``directory``, with the credentials of all its SAEs.

    Raises ``NotFound`` for a lab that delivers no keys.
    """

    def __init__(self, directory: Path, lab: str) -> None:
        try:
            written: dict[str, Any] = json.loads((directory / "keys" / "kme.json").read_text())
        except (OSError, ValueError) as error:
            raise NotFound(
                f"lab '{lab}' delivers no keys; give a node 'services: {{etsi014: {{sae: [NAME]}}}}' in its lab file"
            ) from error
        self._lab = lab
        self.certificates = Certificates(directory / "certificates")
        self.addresses = {
            node: KmeAddress(each["port"], each["kme_id"], tuple(each["saes"]))
            for node, each in written.items()
        }

    def saes(self) -> list[str]:
        """List the SAEs of the lab."""
        return [sae for address in self.addresses.values() for sae in address.saes]

    def of(self, sae: str) -> KmeAddress:
        """Return the KME that serves ``sae``. Raise ``NotFound``."""
        for address in self.addresses.values():
            if sae in address.saes:
                return address
        if served := self.addresses.get(sae):
            raise NotFound(f"'{sae}' is a node and no SAE; it serves {', '.join(served.saes)}")
        raise NotFound(unknown("SAE", sae, self.saes()))

    def check_peers(self, sae: str, peer: str) -> None:
        """Make sure that the lab has both applications. Raise ``NotFound``, ``UsageError`` when they are the same."""
        self.of(sae)
        self.of(peer)
        if sae == peer:
            others = sorted({*self.saes()} - {sae})
            raise UsageError(f"an application shares keys with another one than itself; {one_of(others)}")

    def get_key(self, sae: str, slave: str, number: int, size: int | None) -> list[dict[str, Any]]:
        """Fetch fresh keys as the master ``sae``: the entries of the key container.

        Raise ``Reported`` with what the KME says, ``ControlUnreachable`` when it does not answer.
        """
        request = {"number": number} if size is None else {"number": number, "size": size}
        return self._fetch(sae, slave, "enc_keys", request)

    def get_key_with_ids(self, sae: str, master: str, key_ids: Iterable[str]) -> list[dict[str, Any]]:
        """Fetch, as the slave ``sae``, keys that ``master`` has been given. Raises as ``get_key`` does."""
        return self._fetch(sae, master, "dec_keys", {"key_IDs": [{"key_ID": each} for each in key_ids]})

    def curl(self, sae: str, url: str) -> list[str]:
        """Return the words of a call of ``url`` by curl, as ``sae``."""
        own = self.certificates.sae(sae)
        files = ("--cacert", self.certificates.authority), ("--cert", own.certificate), ("--key", own.key)
        return ["curl", "-sS", *(str(word) for pair in files for word in pair), url]

    def _fetch(self, sae: str, other: str, method: str, request: dict[str, Any]) -> list[dict[str, Any]]:
        address = self.of(sae)
        path = f"/api/v1/keys/{quote(other, safe='')}/{method}"
        connection = HTTPSConnection(HOST, address.port, context=self._tls(sae), timeout=_PATIENCE)
        try:
            connection.request("POST", path, json.dumps(request), {"Content-Type": "application/json"})
            response = connection.getresponse()
            document: dict[str, Any] = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            advice = f"'bellwire ps {self._lab}' shows how node '{address.kme_id}' is"
            raise ControlUnreachable(f"the KME at {address.url} does not answer: {error}; {advice}") from None
        finally:
            connection.close()
        if response.status != 200:
            said = document.get("message", response.reason)
            advice = _ADVICE.get(said if said == KEYS_NOT_FOUND else response.status, "")
            raise Reported(f"the KME says: {said}{advice}", _EXIT_CODES.get(response.status, 1))
        keys: list[dict[str, Any]] = document["keys"]
        return keys

    def _tls(self, sae: str) -> ssl.SSLContext:
        own = self.certificates.sae(sae)
        context = ssl.create_default_context(cafile=self.certificates.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(own.certificate, own.key)
        return context
