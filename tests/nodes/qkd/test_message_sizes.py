"""No message of the largest block is longer than the classical network carries, whatever the error rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pytest

from broker.envelope import MAX_LENGTH, Envelope
from broker.envelope import encode as wire
from nodes.codec import encode, fields_of, kind_of
from nodes.ports import Bits, Coin
from nodes.qkd import cascade
from nodes.qkd.amplification import Hashing
from nodes.qkd.authentication import Tagged
from nodes.qkd.bb84 import TRAIN_PULSES, Detections, Matches
from nodes.qkd.cascade import Parities, Questions, correct
from nodes.qkd.cascade_passes import Range, block_sizes
from nodes.qkd.estimation import QBER_LIMIT, Sample
from nodes.qkd.pipeline import MOST_PULSES, Settings
from nodes.qkd.toeplitz import seed_length
from nodes.qkd.verification import Check, tag_length

MessageT = TypeVar("MessageT")

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
    assert Settings(pulses=MOST_PULSES).pulses == MOST_PULSES


class Listener:
    """An Alice whose parities are all even; it keeps what Bob says."""

    name = "alice"

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.answered = 0

    async def send(self, message: object) -> None:
        self.heard.append(message)

    async def receive(self, kind: type[MessageT]) -> MessageT:
        questions = [message for message in self.heard if isinstance(message, Questions)]
        reply = Parities(zeros(len(questions[self.answered].starts) // 4))
        self.answered += 1
        assert isinstance(reply, kind)
        return reply


class FirstRound:
    """A ``Search`` that asks for all blocks of the first pass and has finished then."""

    def __init__(self, key: Bits, qber: float, orders: list[Any]) -> None:
        self.key = key
        block = block_sizes(key.size, qber)[0]
        ranges = [Range(0, start, min(start + block, key.size)) for start in range(0, key.size, block)]
        self._rounds = [ranges, []]

    def questions(self) -> list[Range]:
        return self._rounds.pop(0)

    def learn(self, parities: Bits) -> None:
        assert parities.size == -(-self.key.size // 8)


async def test_the_questions_of_the_largest_block_fit_at_the_highest_error_rate(
    monkeypatch: pytest.MonkeyPatch, make_coin: Callable[..., Coin]
) -> None:
    monkeypatch.setattr(cascade, "Search", FirstRound)
    monkeypatch.setattr(cascade, "orders", lambda seed, size: [])
    alice = Listener()
    corrected = await correct(np.zeros(SIFTED, dtype=np.uint8), QBER_LIMIT, alice, make_coin(1))
    lengths = [length_on_the_wire(message) for message in alice.heard]
    assert corrected.parities * 12 > 5 * MAX_LENGTH
    assert max(lengths) <= MAX_LENGTH
    assert alice.answered == -(-corrected.parities // cascade.MOST_RANGES)
