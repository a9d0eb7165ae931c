"""The API of a KME in front of drawn keys, called without HTTP, and what to look for in its answers."""

from __future__ import annotations

import json
from typing import Any

from nodes.keys.etsi014 import Answer, Call, Etsi014, Method
from tests.nodes.keys.drawn_keys import DrawnKeys

MASTER, SLAVE, OTHER = "vpn-north", "vpn-dc", "vpn-campus"
NOT_FOUND = "one or more keys specified are not found on KME"
ID = "550e8400-e29b-41d4-a716-446655440000"


class Kme:
    """The API in front of drawn keys, called by verbs."""

    def __init__(self, keys: DrawnKeys | None = None, *, reproducible: bool = False) -> None:
        self.keys = keys or DrawnKeys()
        self._api = Etsi014(self.keys, reproducible=reproducible)

    async def get(self, method: Method, caller: str, other: str, *query: tuple[str, str]) -> Answer:
        return await self._api.answer(Call(method, caller, other, query))

    async def post(self, method: Method, caller: str, other: str, body: Any = b"") -> Answer:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self._api.answer(Call(method, caller, other, (), encoded))

    async def enc_keys(self, body: Any = b"") -> Answer:
        return await self.post("enc_keys", MASTER, SLAVE, body)

    async def dec_keys(self, body: Any, slave: str = SLAVE, master: str = MASTER) -> Answer:
        return await self.post("dec_keys", slave, master, body)


def by_ids(*key_ids: str) -> dict[str, Any]:
    return {"key_IDs": [{"key_ID": key_id} for key_id in key_ids]}


def ids_of(answer: Answer) -> list[str]:
    return [key["key_ID"] for key in answer.document["keys"]]


def is_an_error(answer: Answer, status: int, message: str | None = None) -> bool:
    """Tell whether an answer is the Error of clause 6.5 with this status, and with this very message."""
    document = json.loads(answer.encoded())
    return (
        answer.status == status
        and answer.keys == 0
        and isinstance(document["message"], str)
        and document["message"] == (message or document["message"])
        and document.keys() <= {"message", "details"}
        and all(isinstance(each, dict) for each in document.get("details", []))
    )
