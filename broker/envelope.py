"""The envelope in which every classical message travels, and its MessagePack form on the wire."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from reprlib import repr as brief
from typing import Any

import msgpack

from broker.errors import EnvelopeError, ForgedEnvelope
from broker.topics import EnvelopeTopic

VERSION = 1
MAX_LENGTH = 1 << 20
"""The longest encoded message in bytes."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message from one party to another.

    ``session`` names the conversation (one run of one protocol); ``sequence`` counts from 0 the messages
    from ``sender`` to ``recipient`` in it; ``sent_at`` is the emulated time of sending in seconds,
    ``arrives_at`` when the channel between the two delivers it; ``kind`` names the message, ``body`` holds
    its fields (MessagePack types only; a tuple arrives as a list). ``session`` and ``kind``
    have at most 128 characters, names at most 64.
    """

    lab: str
    sender: str
    recipient: str
    protocol: str
    session: str
    sequence: int
    sent_at: float
    arrives_at: float
    kind: str
    body: dict[str, Any]

    @property
    def topic(self) -> EnvelopeTopic:
        """Return the topic on which the envelope travels."""
        return EnvelopeTopic(self.lab, self.sender, self.recipient, self.protocol)


_FIELDS = tuple(field.name for field in fields(Envelope))
_LONGEST_TEXTS = {"lab": 64, "sender": 64, "recipient": 64, "protocol": 64, "session": 128, "kind": 128}


def encode(envelope: Envelope) -> bytes:
    """Write the envelope as a MessagePack map of ``version`` and its fields, by name.

    Raises ``EnvelopeError`` when a field is not of its type, the body holds something that MessagePack cannot
    write, or the result is longer than ``MAX_LENGTH``.
    """
    record = {"version": VERSION} | {name: getattr(envelope, name) for name in _FIELDS}
    _check_types(record)
    return pack(record, f"{envelope.kind} from {envelope.sender} to {envelope.recipient}")


def decode(payload: bytes, topic: EnvelopeTopic) -> Envelope:
    """Read the envelope that arrived on ``topic``.

    Raises ``EnvelopeError`` when it is longer than ``MAX_LENGTH``, of another version, lacks a field, has
    one too many, or one of another type; ``ForgedEnvelope`` when it claims another lab, sender, recipient
    or protocol than its topic.
    """
    record = unpack(payload, str(topic))
    if record.get("version") != VERSION:
        raise EnvelopeError(
            f"The message on {topic} has version {brief(record.get('version'))}, not {VERSION}."
        )
    if record.keys() != {"version", *_FIELDS}:
        wrong = brief(sorted(map(str, record.keys() ^ {"version", *_FIELDS})))
        raise EnvelopeError(f"The message on {topic} is no envelope: missing or unknown fields: {wrong}.")
    _check_types(record)
    envelope = Envelope(**{name: record[name] for name in _FIELDS})
    if envelope.topic != topic:
        raise ForgedEnvelope(f"The envelope on {topic} claims to belong on {envelope.topic}: it is dropped.")
    return envelope


def pack(record: dict[str, Any], what: str) -> bytes:
    """Write a record as MessagePack. Raises ``EnvelopeError``, which calls the record ``what``."""
    try:
        payload: bytes = msgpack.packb(record)
    except (TypeError, ValueError, OverflowError) as error:
        raise EnvelopeError(f"{what} cannot be written as MessagePack: {error}.") from error
    if len(payload) > MAX_LENGTH:
        raise EnvelopeError(
            f"{what} has {len(payload)} bytes, more than the {MAX_LENGTH} of one message: send it in parts."
        )
    return payload


def unpack(payload: bytes, where: str) -> dict[str, Any]:
    """Read a MessagePack map that arrived at ``where``. Raises ``EnvelopeError``."""
    if len(payload) > MAX_LENGTH:
        raise EnvelopeError(f"The message on {where} has {len(payload)} bytes, more than {MAX_LENGTH}.")
    try:
        record = msgpack.unpackb(payload)
    except ValueError as error:
        raise EnvelopeError(f"The message on {where} is not MessagePack: {error}.") from error
    if not isinstance(record, dict):
        raise EnvelopeError(f"The message on {where} is a {type(record).__name__}, not a map.")
    return record


def _check_types(record: dict[str, Any]) -> None:
    # ``type`` and not ``isinstance``: a bool is no sequence number. ``brief``: what a peer has sent may be long.
    for name, longest in _LONGEST_TEXTS.items():
        if type(record[name]) is not str or len(record[name]) > longest:
            raise EnvelopeError(
                f"An envelope's {name} is text of at most {longest} characters, not {brief(record[name])}."
            )
    if type(record["sequence"]) is not int or record["sequence"] < 0:
        raise EnvelopeError(
            f"An envelope's sequence is a whole number from 0, not {brief(record['sequence'])}."
        )
    for name in ("sent_at", "arrives_at"):
        if type(record[name]) not in (int, float) or not isfinite(record[name]):
            raise EnvelopeError(f"An envelope's {name} is a time in seconds, not {brief(record[name])}.")
    if type(record["body"]) is not dict or not all(type(key) is str for key in record["body"]):
        raise EnvelopeError("An envelope's body is a map from field names to values.")
