"""No message of the largest block is longer than the classical network carries."""

from __future__ import annotations

import numpy as np
import pytest

from broker.envelope import MAX_LENGTH, Envelope
from broker.envelope import encode as wire
from nodes.codec import encode, fields_of, kind_of
from nodes.qkd import decoy_bb84
from nodes.qkd.amplification import PART, Hashing
from nodes.qkd.authentication import Tagged
from nodes.qkd.bb84 import TRAIN_PULSES, Detections, Matches
from nodes.qkd.estimation import Sample
from nodes.qkd.sifting import MOST_PULSES
from nodes.qkd.sifting_codec import encode_classes, encode_indices, encode_marks
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
        Check(bytes(16 * 13), zeros(128 * 13), zeros(tag_length(1e-300))),
        Hashing(2**30, zeros(PART)),
    ],
    ids=kind_of,
)
def test_a_message_of_the_largest_block_fits(message: object) -> None:
    assert length_on_the_wire(message) <= MAX_LENGTH


CLICKS = decoy_bb84.MOST_CLICKS
RNG = np.random.default_rng(1)
COINS = RNG.integers(0, 2, CLICKS, dtype=np.uint8)


@pytest.mark.parametrize("pulses", [CLICKS, 5 * CLICKS, 10**7, 2**32])
def test_the_detections_of_a_train_fit_however_rare_they_are(pulses: int) -> None:
    indices = np.arange(CLICKS) * (pulses // CLICKS)
    message = decoy_bb84.Detections(CLICKS, encode_indices(indices, pulses), encode_marks(COINS))
    assert length_on_the_wire(message) <= MAX_LENGTH / 2


def test_matches_fit_though_eve_may_make_all_intensities_and_bases_alike() -> None:
    classes = RNG.integers(0, 8, CLICKS, dtype=np.uint8)
    none = np.zeros(CLICKS, dtype=np.uint8)
    message = decoy_bb84.Matches(encode_marks(none), encode_classes(classes, 8), zeros(CLICKS))
    assert length_on_the_wire(message) <= MAX_LENGTH / 2
