"""How two nodes without a common secret begin: signatures first, key of the quantum channel ever after.

A handshake of the form SIGMA (H. Krawczyk, CRYPTO 2003, LNCS 2729, 400) with post-quantum parts, as in L.-J. Wang et
al., npj Quantum Inf. 7:67 (2021), who authenticate QKD by signatures::

    Alice                                                    Bob
      |--- 1 Offer: nonce, ephemeral ML-KEM and X25519 keys -->|
      |<-- 2 Acceptance: nonce, ciphertext, X25519 key, -------|  Bob has proved who he is
      |        signature of 1 and 2, confirmation              |
      |--- 3 Confirmation: signature of 1 and 2, ------------->|  Alice has proved who she is
      |        confirmation                                    |

Both derive the epoch's secret from ML-KEM-768 (FIPS 203) and X25519 (RFC 7748), so that it is safe as long as one of
the two is, and fill the reserves of its conversations with it. The signatures (ML-DSA-65, FIPS 204) cover the version
of the protocol, the lab, the link, both nodes, their roles and all of 1 and 2, both nonces included; the confirmations
show that both hold the secret. Whatever is altered, replayed, mixed with another handshake or signed by another ends
it without an epoch, at both ends but for the last message: when 3 is lost, Alice has an epoch that Bob has not, and
her next message fails there. Who refuses says nothing, since nobody could believe it; the other's wait has a deadline.

**An epoch lasts as long as both nodes do and stay in step.** A node that restarts, and two of which one has given up,
begin a new one, and messages of an older epoch are refused: other pads, another name under the tags. Ephemeral keys
and the epoch's secret never leave the two processes, which forget them when the epoch ends.

**What this rests on.** Until the derived pads of a reserve are used up its epoch's authentication is computational:
who breaks ML-DSA-65, or both ML-KEM-768 and X25519, *within that time* can stand in the middle. Who breaks them later
gains nothing (D. Stebila, M. Mosca and N. Lütkenhaus, arXiv:0902.2839): the keys distilled meanwhile do not depend on
them, and later tags are made with key of the quantum channel, information-theoretically secure. A new epoch begins
this anew, for the keys that it will bring; those of earlier epochs are not touched by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nodes.codec import encode
from nodes.errors import AuthenticationFailed, ProgramInvalid, ProtocolViolation
from nodes.identity import Identity
from nodes.ports import Coin, Peer
from nodes.qkd.pads import PAD_BYTES
from nodes.qkd.reserve import DEFAULT_PADS, MASK_BYTES, AuthenticationReserve

VERSION = 1
NONCE_BYTES = 32
MOST_PADS = 509
"""HKDF-SHA256 gives at most 255 x 32 bytes: a point and as many pads for a lane."""

_ROLES = _ALICE, _BOB = "alice", "bob"


@dataclass(frozen=True, slots=True)
class EpochTerms:
    """What the handshake is for, configured alike at both ends: nothing of it is negotiated.

    ``lab`` and ``link`` are names; ``pads`` is the number of pads in a full lane of a reserve.
    """

    lab: str
    link: str
    pads: int = DEFAULT_PADS

    def __post_init__(self) -> None:
        if not 1 <= self.pads <= MOST_PADS:
            raise ProgramInvalid(f"a reserve of {self.pads} pads cannot be filled; choose 1 to {MOST_PADS}")


@dataclass(frozen=True, slots=True)
class Offer:
    """The first message, Alice's: the version and pads she is set to, a nonce, ephemeral public keys."""

    version: int
    pads: int
    nonce: bytes
    encapsulation_key: bytes
    x25519: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Bob's half of the exchange: a nonce, the ML-KEM ciphertext, an ephemeral public key."""

    nonce: bytes
    ciphertext: bytes
    x25519: bytes


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A signature of the ``Transcript`` and a proof that its sender holds the secret. The third message, Alice's."""

    signature: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The second message, Bob's. Only in answer to an ``Offer``."""

    answer: Answer
    confirmation: Confirmation


@dataclass(frozen=True, slots=True)
class Transcript:
    """What both sign: everything that the epoch depends on. It does not travel; both know it."""

    lab: str
    link: str
    alice: str
    bob: str
    offer: Offer
    answer: Answer


async def begin_as_alice(bob: Peer, identity: Identity, terms: EpochTerms, coin: Coin) -> Epoch:
    """Begin an epoch with Bob.

    Raises ``IdentityRefused`` when the peer is not the node it should be, ``AuthenticationFailed`` and
    ``ProtocolViolation`` when its messages are not what they should be.
    """
    decapsulation_key = MLKEM768PrivateKey.from_seed_bytes(coin.unique(64))
    x25519 = X25519PrivateKey.from_private_bytes(coin.unique(32))
    offer = Offer(
        version=VERSION,
        pads=terms.pads,
        nonce=coin.unique(NONCE_BYTES),
        encapsulation_key=decapsulation_key.public_key().public_bytes_raw(),
        x25519=x25519.public_key().public_bytes_raw(),
    )
    await bob.send(offer)
    acceptance = await bob.receive(Acceptance)
    answer = acceptance.answer
    transcript = Transcript(terms.lab, terms.link, identity.node, bob.name, offer, answer)
    secrets = _decapsulated(decapsulation_key, answer) + _agreed(x25519, answer.x25519, bob.name)
    epoch = Epoch(transcript, secrets)
    epoch.check(_BOB, acceptance.confirmation, identity, bob.name)
    await bob.send(epoch.confirmation(_ALICE, identity))
    return epoch


async def begin_as_bob(alice: Peer, identity: Identity, terms: EpochTerms, coin: Coin) -> Epoch:
    """Begin an epoch with Alice when she offers one; results and errors as in ``begin_as_alice``."""
    offer = await alice.receive(Offer)
    _require_our_terms(offer, terms, alice.name)
    x25519 = X25519PrivateKey.from_private_bytes(coin.unique(32))
    encapsulated, ciphertext = _encapsulated(offer, alice.name)
    secrets = encapsulated + _agreed(x25519, offer.x25519, alice.name)
    answer = Answer(coin.unique(NONCE_BYTES), ciphertext, x25519.public_key().public_bytes_raw())
    transcript = Transcript(terms.lab, terms.link, alice.name, identity.node, offer, answer)
    epoch = Epoch(transcript, secrets)
    await alice.send(Acceptance(answer, epoch.confirmation(_BOB, identity)))
    epoch.check(_ALICE, await alice.receive(Confirmation), identity, alice.name)
    return epoch


class Epoch:
    """What follows from a handshake, the same at both ends. ``name`` is public; its ``repr`` shows no more."""

    def __init__(self, transcript: Transcript, secrets: bytes) -> None:
        self._signed = encode(transcript)
        digest = Hash(SHA256())
        digest.update(self._signed)
        self._digest = digest.finalize()
        self._secrets = secrets
        self._pads = transcript.offer.pads
        self._conversations: set[str] = set()
        self.name = self._digest.hex()[:32]

    def __repr__(self) -> str:
        return f"<Epoch {self.name}>"

    def reserve(self, conversation: str) -> AuthenticationReserve:
        """Return the pads of a conversation, for its ``AuthenticatedPeer`` of the roles "alice" and "bob".

        Conversations that go on side by side have one each. Raises ``ProgramInvalid`` the second time: its pads
        would come a second time, too.
        """
        if conversation in self._conversations:
            raise ProgramInvalid(
                f"the pads of '{conversation}' in epoch {self.name} have been given away before"
            )
        self._conversations.add(conversation)
        size = PAD_BYTES * (self._pads + 1)
        alices, bobs = (self._derived(f"pads of {role} in {conversation}", size) for role in _ROLES)
        mask = self._derived(f"mask of {conversation}", MASK_BYTES)
        return AuthenticationReserve(f"epoch {self.name}, {conversation}", _ROLES, (alices, bobs), mask)

    def confirmation(self, role: str, identity: Identity) -> Confirmation:
        """Sign the transcript in a role and prove that the secrets are known."""
        return Confirmation(identity.sign(self._signed, _context(role)), self._proof(role).finalize())

    def check(self, role: str, confirmation: Confirmation, identity: Identity, node: str) -> None:
        """Raise ``IdentityRefused`` or ``AuthenticationFailed`` unless ``node`` has confirmed in its role."""
        identity.verify(node, confirmation.signature, self._signed, _context(role))
        try:
            self._proof(role).verify(confirmation.proof)
        except InvalidSignature as refused:
            raise AuthenticationFailed(
                f"'{node}' has signed the handshake and does not hold its secret: a message was altered on the way"
            ) from refused

    def _proof(self, role: str) -> HMAC:
        proof = HMAC(self._derived(f"proof of {role}", SHA256.digest_size), SHA256())
        proof.update(self._digest)
        return proof

    def _derived(self, purpose: str, length: int) -> bytes:
        info = b"bellwire epoch: " + purpose.encode()
        return HKDF(algorithm=SHA256(), length=length, salt=self._digest, info=info).derive(self._secrets)


def _context(role: str) -> bytes:
    """Return what a signature in ``role`` is for: no signature of the other role, or of another version, is one."""
    return f"bellwire epoch {VERSION}: {role}".encode()


def _require_our_terms(offer: Offer, terms: EpochTerms, alice: str) -> None:
    if (offer.version, offer.pads) != (VERSION, terms.pads):
        raise ProtocolViolation(
            f"'{alice}' offers an epoch of version {offer.version} with {offer.pads} pads a lane, where version "
            f"{VERSION} with {terms.pads} is set; neither is negotiated"
        )
    if len(offer.nonce) != NONCE_BYTES:
        raise ProtocolViolation(f"'{alice}' offers a nonce of {len(offer.nonce)} bytes, not {NONCE_BYTES}")


def _encapsulated(offer: Offer, alice: str) -> tuple[bytes, bytes]:
    try:
        return MLKEM768PublicKey.from_public_bytes(offer.encapsulation_key).encapsulate()
    except ValueError as malformed:
        raise ProtocolViolation(f"what '{alice}' offers is no public key of ML-KEM-768") from malformed


def _decapsulated(key: MLKEM768PrivateKey, answer: Answer) -> bytes:
    try:
        return key.decapsulate(answer.ciphertext)
    except ValueError as malformed:
        raise ProtocolViolation(
            "what came in answer to an offer is no ciphertext of ML-KEM-768"
        ) from malformed


def _agreed(mine: X25519PrivateKey, theirs: bytes, peer: str) -> bytes:
    try:
        return mine.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError as malformed:
        raise ProtocolViolation(f"'{peer}' sent no public key of X25519 that can be used") from malformed
