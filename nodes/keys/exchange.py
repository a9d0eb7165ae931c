"""Authenticated key exchange by ML-KEM (FIPS 203), with ephemeral keys and ML-DSA-65 signatures (FIPS 204).

    1. Initiator  makes a key pair for this exchange only
    2. Initiator  -> Responder   KemOffer: encapsulation key, signed with all that the exchange is for
    3. Responder  -> Initiator   KemAnswer: ciphertext, signed together with the offer
    4. both       have a shared secret of 32 bytes and the hash of the transcript, and forget the key pair

The form is that of a signed Diffie-Hellman exchange (SIGMA without identities to hide). Later theft of identity keys
reveals no earlier secret. Names of both nodes are signed, so that no answer is good for another pair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
    MLKEM1024PrivateKey,
    MLKEM1024PublicKey,
)

from nodes.codec import encode, joined
from nodes.identity import Identity, IdentityRefused
from nodes.keys.errors import ExchangeRefused
from nodes.keys.secret import Secret

PrivateKey: TypeAlias = MLKEM768PrivateKey | MLKEM1024PrivateKey
PublicKey: TypeAlias = MLKEM768PublicKey | MLKEM1024PublicKey

_CONTEXT = b"bellwire key exchange"
_SETS: dict[str, tuple[Callable[[], PrivateKey], Callable[[bytes], PublicKey]]] = {
    "ML-KEM-768": (MLKEM768PrivateKey.generate, MLKEM768PublicKey.from_public_bytes),
    "ML-KEM-1024": (MLKEM1024PrivateKey.generate, MLKEM1024PublicKey.from_public_bytes),
}
PARAMETER_SETS = tuple(_SETS)


@dataclass(frozen=True, slots=True)
class KemOffer:
    """An encapsulation key for one exchange.

    With ``block`` the secret is combined with every unit of that block of their pool; without, it becomes a block of
    ``units`` of its own. ``parameters`` is one of ``PARAMETER_SETS``.
    """

    exchange: str
    initiator: str
    responder: str
    parameters: str
    block: str
    units: int
    public_key: bytes
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class KemAnswer:
    """The secret of the exchange, encapsulated."""

    ciphertext: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both ends have after the exchange; ``transcript`` is the SHA-256 of offer and answer."""

    secret: Secret
    transcript: bytes


def make_offer(identity: Identity, bare: KemOffer) -> tuple[PrivateKey, KemOffer]:
    """Complete an offer with a fresh key and sign it. Raises ``ExchangeRefused`` for unknown parameters."""
    private_key = _set(bare.parameters)[0]()
    unsigned = replace(bare, public_key=private_key.public_key().public_bytes_raw(), signature=b"")
    return private_key, replace(unsigned, signature=identity.sign(_offered(unsigned), _CONTEXT))


def accept(identity: Identity, offer: KemOffer) -> tuple[Agreed, KemAnswer]:
    """Encapsulate a fresh secret for an authentic offer. Raises ``ExchangeRefused``."""
    _verify(identity, offer.initiator, offer.signature, _offered(replace(offer, signature=b"")))
    try:
        public_key = _set(offer.parameters)[1](offer.public_key)
    except ValueError as malformed:
        raise ExchangeRefused(f"what '{offer.initiator}' offers is no {offer.parameters} key") from malformed
    secret, ciphertext = public_key.encapsulate()
    answer = KemAnswer(ciphertext, identity.sign(_answered(offer, ciphertext), _CONTEXT))
    return Agreed(Secret(secret), _hash(offer, ciphertext)), answer


def finish(identity: Identity, private_key: PrivateKey, offer: KemOffer, answer: KemAnswer) -> Agreed:
    """Decapsulate the secret of an authentic answer. Raises ``ExchangeRefused``."""
    _verify(identity, offer.responder, answer.signature, _answered(offer, answer.ciphertext))
    try:
        secret = private_key.decapsulate(answer.ciphertext)
    except ValueError as malformed:
        raise ExchangeRefused(f"the ciphertext of '{offer.responder}' is malformed") from malformed
    return Agreed(Secret(secret), _hash(offer, answer.ciphertext))


def _set(parameters: str) -> tuple[Callable[[], PrivateKey], Callable[[bytes], PublicKey]]:
    if parameters not in _SETS:
        raise ExchangeRefused(f"there is no parameter set '{parameters}'; known: {', '.join(PARAMETER_SETS)}")
    return _SETS[parameters]


def _verify(identity: Identity, node: str, signature: bytes, statement: bytes) -> None:
    try:
        identity.verify(node, signature, statement, _CONTEXT)
    except IdentityRefused as refused:
        raise ExchangeRefused(str(refused)) from refused


def _offered(unsigned: KemOffer) -> bytes:
    return joined(b"bellwire offer", encode(unsigned))


def _answered(offer: KemOffer, ciphertext: bytes) -> bytes:
    return joined(b"bellwire answer", encode(offer), ciphertext)


def _hash(offer: KemOffer, ciphertext: bytes) -> bytes:
    return sha256(_answered(offer, ciphertext)).digest()
