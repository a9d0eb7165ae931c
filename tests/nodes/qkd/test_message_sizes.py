"""No message of the largest block of BB84 is longer than the classical network carries."""

from __future__ import annotations

import pytest

from broker.envelope import MAX_LENGTH, Envelope
from broker.envelope import encode as wire
from nodes.codec import encode, fields_of, kind_of
from nodes.qkd.amplification import Hashing
from nodes.qkd.authentication import Tagged
from nodes.qkd.bb84 import TRAIN_PULSES, Detections, Matches
from nodes.qkd.estimation import Sample
from nodes.qkd.sifting import MOST_PULSES
from nodes.qkd.toeplitz import seed_length
from nodes.qkd.verification import Check, tag_length

SIFTED = MOST_PULSES
"""More than ever come: that every photon arrives and every two bases agree."""


def length_on_the_wire(message: object) -> int:
    """Raises when it is longer than ``MAX_LENGTH``."""
    tagged = Tagged(kind_of(message), encode(message), bytes(16))
    name = "n" * 64
    body = fields_of(tagged)
    return len(wire(Envelope(name, name, name, name, name, 2**63, 0.1, 0.1, kind_of(tagged), body)))


def zeros(bits: int) -> bytes:
    return bytes((bits + 7) // 8)


@pytest.mark.parametrize(
    "message",
    [
        Detections(zeros(TRAIN_PULSES), zeros(TRAIN_PULSES)),
        Matches(zeros(TRAIN_PULSES)),
        Sample(zeros(SIFTED), zeros(SIFTED)),
        Check(zeros(seed_length(SIFTED, tag_length(1e-300))), zeros(tag_length(1e-300))),
        Hashing(zeros(seed_length(SIFTED, SIFTED))),
    ],
    ids=kind_of,
)
def test_a_message_of_the_largest_block_fits(message: object) -> None:
    assert length_on_the_wire(message) <= MAX_LENGTH
