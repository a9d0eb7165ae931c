"""Trains become as long as is good for messages, and so long at both ends."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qkd.train_lengths import CLICKS, LONGEST, TrainLengths


def settled(pulse_rate: float, gain: float, ahead: float = 0.0, trains: int = 60) -> list[int]:
    """Return the lengths of trains that are clicked in with the probability ``gain``."""
    lengths, ordered, all_of_them = TrainLengths(pulse_rate, ahead), deque[int](), list[int]()
    for _ in range(trains):
        ordered += (new := lengths.order())
        all_of_them += new
        lengths.passed(round(ordered.popleft() * gain))
    return all_of_them


@pytest.mark.parametrize("gain", [1.0, 0.04, 1e-3])
@pytest.mark.parametrize("ahead", [0.0, 0.25])
def test_a_train_comes_to_bring_as_many_clicks_as_it_should(gain: float, ahead: float) -> None:
    last = settled(1e9, gain, ahead)[-1]
    assert last * gain == pytest.approx(min(CLICKS, LONGEST * 1e9 * gain), rel=0.01)


@pytest.mark.parametrize("pulse_rate", [1.0, 1e3, 1e8])
def test_no_train_lasts_longer_than_it_may_though_nothing_clicks(pulse_rate: float) -> None:
    lengths = settled(pulse_rate, 0.0)
    assert max(lengths) == LONGEST * pulse_rate
    assert min(lengths) >= 1


@given(st.integers(1, 10**7), st.sampled_from([0.0, 0.25]), st.floats(0, 1))
def test_so_many_pulses_are_so_many(pulses: int, ahead: float, gain: float) -> None:
    lengths, sent = TrainLengths(1e6, ahead, pulses), 0
    while not lengths.all_passed:
        for length in lengths.order():
            sent += length
        lengths.passed(int(gain * 1000))
    assert sent == pulses
    assert lengths.order() == []


def test_light_is_ordered_ahead_and_not_without_end() -> None:
    lengths = TrainLengths(1e8, ahead=0.25)
    first = lengths.order()
    assert 1 < len(first) <= 8
    assert lengths.order() == []
    lengths.passed(10**5)
    assert len(lengths.order()) == 1


def test_without_ahead_one_train_is_ordered_at_a_time() -> None:
    lengths = TrainLengths(1e8)
    assert len(lengths.order()) == 1
    assert lengths.order() == []


def test_a_slow_link_sifts_a_block_in_so_few_trains_that_its_key_pays_for_the_tags() -> None:
    """5,000 clicks a second, of which 41 % are for the key: a block of 200,000 bits, and three tags a train."""
    trains = settled(5e6, 1e-3, ahead=0.25, trains=150)[50:]
    filled = next(number for number in range(100) if sum(trains[:number]) * 1e-3 * 0.41 >= 200_000)
    assert 3 * 128 * filled < 0.05 * 200_000
