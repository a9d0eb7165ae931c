"""Key that is secret while one of its sources is: QKD and ML-KEM combined.

The combiner has the form of CatKDF (ETSI TS 103 744 V1.1.1) and of the two-step derivation of NIST SP 800-56C r2 with
HKDF-SHA256 (RFC 5869): the secrets are concatenated, and purpose and transcript are the context.

    key = HKDF(input = len(k1) || k1 || len(k2) || k2 ..., info = label || len(context) || context)

Every secret stands behind its length (8 bytes), so no two different lists of secrets are the same input. Who knows all
secrets but one, of 32 uniform bytes, sees the output of a pseudo-random function of the unknown one. The result is
computationally secure even when the QKD key alone would be information-theoretically so.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nodes.codec import joined
from nodes.keys.secret import Secret
from nodes.keys.units import UNIT_BYTES


def combine(label: str, secrets: Sequence[bytes], context: bytes, length: int = UNIT_BYTES) -> bytes:
    """Derive ``length`` bytes from all of the secrets for one purpose and context. Raises ``ValueError`` for none."""
    if not secrets:
        raise ValueError("there is no secret to derive a key from")
    info = b"bellwire " + label.encode() + b"\0" + joined(context)
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(joined(*secrets))


def hybrid_block(block: bytes, shared: Secret, transcript: bytes) -> bytes:
    """Combine every unit of a block with the secret of an exchange and its transcript; as many units result."""
    secret = shared.reveal()
    return b"".join(
        combine(
            "hybrid unit", [block[start : start + UNIT_BYTES], secret], transcript + start.to_bytes(8, "big")
        )
        for start in range(0, len(block) - UNIT_BYTES + 1, UNIT_BYTES)
    )


def expanded_block(units: int, shared: Secret, transcript: bytes) -> bytes:
    """Derive a block of ``units`` from the secret of an exchange alone: 256 bits of secret, however long it is."""
    secret = shared.reveal()
    return b"".join(
        combine("pqc unit", [secret], transcript + (UNIT_BYTES * index).to_bytes(8, "big"))
        for index in range(units)
    )
