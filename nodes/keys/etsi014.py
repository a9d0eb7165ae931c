"""Delivery of keys to applications as in ETSI GS QKD 014 V1.1.1 (2019-02), "Protocol and data format of REST-based key
delivery API": what a key management entity (KME) answers to a secure application entity (SAE), without I/O.

    master SAE                         KMEs of the two nodes                        slave SAE
    GET  /api/v1/keys/{slave}/status    -->  Status                     (5.2, 6.1)
    POST /api/v1/keys/{slave}/enc_keys  -->  Key container with key IDs (5.3, 6.2, 6.3)
    key IDs  -------------------------------------------------------------------->
             Key container  (5.4, 6.4)  <--  POST /api/v1/keys/{master}/dec_keys

``enc_keys`` with no more than ``number`` and ``size``, and ``dec_keys`` with one ``key_ID``, may also be a GET. What is
refused is answered with an Error (6.5): 400 for what is asked for, 401 for who asks, 503 for what is not there now.
A key is taken out of the store before it is answered with, so it is delivered once, or lost with the answer.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from nodes.keys.batching import BatchedKeys, Keys
from nodes.keys.errors import KeyManagementError, KeyRequestInvalid, KeysUnavailable, NotEntitled
from nodes.keys.etsi014_requests import (
    EXTENSION_UNMET,
    REPRODUCIBLE,
    CallRefused,
    KeyRequest,
    Query,
    key_ids_of_body,
    key_ids_of_query,
    key_request_of_body,
    key_request_of_query,
)
from nodes.keys.service import DeliveredKey

Method: TypeAlias = Literal["status", "enc_keys", "dec_keys"]
METHODS: Final[Mapping[Method, tuple[str, ...]]] = {
    "status": ("GET",),
    "enc_keys": ("GET", "POST"),
    "dec_keys": ("GET", "POST"),
}
"""The methods of the API, each with the verbs of HTTP by which it may be called."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the API: by the SAE ``caller``, as its certificate says, with the SAE ID ``other`` of the URL decoded.

    ``body`` None: a GET, of which the query counts; otherwise a POST.
    """

    method: Method
    caller: str
    other: str
    query: Query = ()
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call: the status of HTTP and a JSON document, which its ``repr`` does not show.

    ``keys``: how many it delivers. ``reason``: why it delivers none, for the one who runs the KME.
    """

    status: int
    document: Mapping[str, Any]
    keys: int = 0
    reason: str = ""

    def __repr__(self) -> str:
        return f"<Answer {self.status} with {self.keys} keys>"

    def encoded(self) -> bytes:
        """Return the document as JSON in UTF-8."""
        return json.dumps(self.document, separators=(",", ":")).encode()


class Etsi014:
    """The API in front of ``keys``. ``reproducible``: keys whose bits come from seeded dice are delivered, too."""

    def __init__(self, keys: Keys, *, reproducible: bool) -> None:
        self._keys = BatchedKeys(keys)
        self._reproducible = reproducible

    async def answer(self, call: Call) -> Answer:
        """Answer a call. Errors of key management become Errors of the API; whatever else happens is raised."""
        try:
            if not call.other.strip() or call.other == call.caller:
                raise CallRefused(400, "the SAE ID in the URL shall be that of another SAE")
            match call.method:
                case "status":
                    return Answer(200, self._status(call))
                case "enc_keys":
                    return _container(await self._get_key(call))
                case "dec_keys":
                    return _container(await self._get_key_with_ids(call))
        except CallRefused as refusal:
            return error_of(refusal)
        except KeyManagementError as error:
            return _failed(error)

    def _status(self, call: Call) -> dict[str, Any]:
        status = self._keys.status(call.caller, call.other)
        refused = 0 if self._reproducible else status.reproducible_key_count
        return {
            "source_KME_ID": status.source_kme,
            "target_KME_ID": status.target_kme,
            "master_SAE_ID": status.master_sae,
            "slave_SAE_ID": status.slave_sae,
            "key_size": status.key_size,
            "stored_key_count": min(status.stored_key_count - refused, status.max_key_count),
            "max_key_count": status.max_key_count,
            "max_key_per_request": status.max_key_per_request,
            "max_key_size": status.max_key_size,
            "min_key_size": status.min_key_size,
            "max_SAE_ID_count": status.max_sae_id_count,
            "status_extension": {
                REPRODUCIBLE: self._reproducible,
                "bellwire_reproducible_key_count": status.reproducible_key_count,
            },
        }

    async def _get_key(self, call: Call) -> list[DeliveredKey]:
        limits = self._keys.limits
        by_body, by_query = key_request_of_body, key_request_of_query
        request = by_query(call.query, limits) if call.body is None else by_body(call.body, limits)
        if call.other in request.additional or call.caller in request.additional:
            raise CallRefused(
                400, "additional_slave_SAE_IDs shall be neither the slave's ID nor the master's"
            )
        self._meet(request)
        slaves = [call.other, *request.additional]
        return await self._keys.get_key(call.caller, slaves, request.number, request.size)

    async def _get_key_with_ids(self, call: Call) -> list[DeliveredKey]:
        limits = self._keys.limits
        ids = key_ids_of_query(call.query) if call.body is None else key_ids_of_body(call.body, limits)
        return await self._keys.get_key_with_ids(call.caller, call.other, ids)

    def _meet(self, request: KeyRequest) -> None:
        """Refuse a mandatory parameter that this KME knows and cannot obey."""
        if REPRODUCIBLE not in request.mandatory:
            return
        allowed = request.mandatory[REPRODUCIBLE]
        if not isinstance(allowed, bool) or (self._reproducible and not allowed):
            raise CallRefused(400, EXTENSION_UNMET)


def error_of(refusal: CallRefused) -> Answer:
    """Return the Error that tells of a refusal."""
    error: dict[str, Any] = {"message": refusal.message}
    if refusal.details:
        error["details"] = refusal.details
    return Answer(refusal.status, error, reason=refusal.message)


def _container(keys: Sequence[DeliveredKey]) -> Answer:
    return Answer(200, {"keys": [_key(key) for key in keys]}, len(keys))


def _key(key: DeliveredKey) -> dict[str, Any]:
    told: dict[str, Any] = {"key_ID": key.key_id, "key": b64encode(key.secret.reveal()).decode()}
    if key.reproducible:
        told["key_extension"] = {REPRODUCIBLE: True}
    return told


def _failed(error: KeyManagementError) -> Answer:
    match error:
        case KeyRequestInvalid():
            return error_of(CallRefused(400, str(error)))
        case NotEntitled():
            return error_of(CallRefused(401, str(error)))
        case KeysUnavailable():
            return error_of(CallRefused(503, str(error)))
    # The store is damaged or full, or a peer misbehaves: the SAE need not know how, whoever runs the KME must.
    return Answer(503, {"message": "the key store of this KME cannot be used now"}, reason=str(error))
