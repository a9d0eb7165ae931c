"""Classical channels: how long messages take, with jitter and loss, and that none overtakes another."""

from __future__ import annotations

from itertools import accumulate, pairwise
from math import inf, nan, sqrt
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.runtime.channel import Channel, Hop, open_channel
from nodes.runtime.coin import make_coin
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest

if TYPE_CHECKING:
    from tests.nodes.runtime.conftest import Chain

MESSAGES = 10_000
HOPS = st.builds(
    Hop,
    delay=st.floats(0.0, 1.0),
    jitter=st.floats(0.0, 10.0),
    loss=st.floats(0.0, 0.99),
)


@pytest.mark.parametrize("delay", [0.0, 5e-6, 1e-3])
@pytest.mark.parametrize("jitter", [0.0, 2e-6, 5e-3])
@pytest.mark.parametrize("loss", [0.0, 0.01, 0.3, 0.9])
def test_the_mean_delay_is_d_plus_half_the_jitter_plus_a_round_trip_per_loss(
    delay: float, jitter: float, loss: float
) -> None:
    hop, coin = Hop(delay, jitter, loss), make_coin(5, "mean", f"{delay} {jitter} {loss}")
    mean = sum(hop.draw(coin) for _ in range(MESSAGES)) / MESSAGES
    expected = delay + jitter / 2 + loss / (1 - loss) * 2 * delay
    variance = jitter**2 / 12 + loss / (1 - loss) ** 2 * (2 * delay) ** 2
    assert hop.mean == pytest.approx(expected)
    assert abs(mean - expected) <= 5 * sqrt(variance / MESSAGES) + 1e-12


def test_the_jitter_is_uniform_and_never_more_than_stated() -> None:
    hop, coin = Hop(1e-3, jitter=2e-3), make_coin(6, "jitter")
    late = sorted(hop.draw(coin) - 1e-3 for _ in range(MESSAGES))
    assert 0 <= late[0] <= late[-1] <= 2e-3 * (1 + 1e-12)
    # Kolmogorov and Smirnov: P(D > 2.7 / sqrt(n)) < 1e-6
    distance = max(abs(time / 2e-3 - index / MESSAGES) for index, time in enumerate(late))
    assert distance < 2.7 / sqrt(MESSAGES)


def test_a_path_takes_the_sum_over_its_links() -> None:
    hops = [Hop(1e-3, jitter=1e-3), Hop(2e-3, loss=0.5), Hop(5e-3)]
    channel = Channel(hops, make_coin(7, "path"))
    assert channel.delay == pytest.approx(8e-3)
    # an hour lies between two messages, so none waits for the one before it
    took = [channel.arrival(3600.0 * number) - 3600.0 * number for number in range(MESSAGES)]
    variance = 1e-6 / 12 + 0.5 / 0.25 * 16e-6
    expected = sum(hop.mean for hop in hops)
    assert abs(sum(took) / MESSAGES - expected) <= 5 * sqrt(variance / MESSAGES)


@given(
    hops=st.lists(HOPS, max_size=4),
    pauses=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=40),
    seed=st.integers(0, 2**32),
)
def test_messages_never_overtake_each_other_and_none_is_faster_than_light(
    hops: list[Hop], pauses: list[float], seed: int
) -> None:
    channel = open_channel(hops, seed, "alice", "bob")
    sent = list(accumulate(pauses))
    arrived = [channel.arrival(time) for time in sent]
    assert all(earlier <= later for earlier, later in pairwise(arrived))
    assert all(
        arrival >= (time + channel.delay) * (1 - 1e-12) for time, arrival in zip(sent, arrived, strict=True)
    )


def test_a_channel_draws_from_a_stream_of_its_own_for_each_sender_and_recipient() -> None:
    def arrivals(seed: int, sender: str, recipient: str) -> list[float]:
        channel = open_channel([Hop(1.0, 1.0, 0.5)], seed, sender, recipient)
        return [channel.arrival(1e6 * number) for number in range(20)]

    assert arrivals(1, "alice", "bob") == arrivals(1, "alice", "bob")
    others = [arrivals(2, "alice", "bob"), arrivals(1, "bob", "alice"), arrivals(1, "alice", "eve")]
    assert arrivals(1, "alice", "bob") not in others


@pytest.mark.parametrize("time", [-1e-9, -1.0, inf, nan])
def test_no_message_takes_a_negative_or_infinite_time(time: float) -> None:
    with pytest.raises(ValueError, match="a message cannot take a delay of"):
        Hop(time)
    with pytest.raises(ValueError, match="a message cannot take a jitter of"):
        Hop(1.0, jitter=time)


@pytest.mark.parametrize("loss", [-0.1, 1.0, 1.5, nan])
def test_a_loss_is_a_probability_below_one(loss: float) -> None:
    with pytest.raises(ValueError, match="is no probability below 1"):
        Hop(1.0, loss=loss)


@pytest.mark.parametrize("mode", ["virtual", "real-time"])
async def test_letters_over_a_bad_channel_come_in_order_and_not_before_their_time(
    chain: Chain, couriers: str, mode: str
) -> None:
    hop = Hop(2e-3, jitter=20e-3, loss=0.3)
    async with in_memory_lab(chain("alice", "bob", mode=mode), classical={"alice-bob": hop}) as lab:
        run = await lab.run(RunRequest(couriers, {"alice": "alice", "bob": "bob"}))
    told = run.returned[0]["bob"]
    assert told["numbers"] == list(range(20))
    assert told["times"] == sorted(told["times"])
    assert all(time >= sent + 2e-3 for time, sent in zip(told["times"], told["sent"], strict=True))


async def test_in_virtual_time_every_letter_arrives_at_the_time_that_was_drawn(
    chain: Chain, couriers: str
) -> None:
    hop = Hop(1e-3, jitter=5e-3, loss=0.2)
    request = RunRequest(
        couriers, {"alice": "alice", "bob": "charlie"}, parameters={"letters": 200, "pause": 1.0}
    )
    async with in_memory_lab(
        chain("alice", "bob", "charlie", seed=11), classical={"alice-bob": hop, "bob-charlie": hop}
    ) as lab:
        told = (await lab.run(request)).returned[0]["bob"]
    channel = open_channel([hop, hop], 11, "alice", "charlie")
    assert told["times"] == [channel.arrival(sent) for sent in told["sent"]]
    assert told["times"] != [sent + 2e-3 for sent in told["sent"]]
