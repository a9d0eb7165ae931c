from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from math import sqrt

import numpy as np

from broker.bus import Bus
from broker.envelope import Envelope
from broker.faulty import Delayed, Fault, FaultyBus, RandomFaults
from broker.inbox import Sequencer
from broker.memory import MemoryBroker

Make = Callable[..., Envelope]


async def arrivals(fault: Fault, sent: Iterable[Envelope]) -> list[Envelope]:
    """Send from Alice to Bob through the fault and return what Bob gets."""
    hub = MemoryBroker()
    async with hub.bus("bob") as bob:
        async with FaultyBus(hub.bus("alice"), fault) as alice:
            for envelope in sent:
                await alice.publish(envelope)
        reader: Bus = bob
        got: list[Envelope] = []
        arriving = reader.deliveries()
        while True:
            try:
                async with asyncio.timeout(0.01):
                    content = (await anext(arriving)).content
            except TimeoutError:
                return got
            assert isinstance(content, Envelope)
            got.append(content)


async def test_a_script_hits_the_message_it_means(new_envelope: Make) -> None:
    def fault(envelope: Envelope) -> list[Envelope]:
        return {1: [], 2: [envelope, envelope]}.get(envelope.sequence, [envelope])

    got = await arrivals(fault, [new_envelope(n) for n in range(4)])
    assert [envelope.sequence for envelope in got] == [0, 2, 2, 3]


async def test_a_delayed_message_arrives_behind_later_ones(new_envelope: Make) -> None:
    def fault(envelope: Envelope) -> list[Envelope | Delayed]:
        return [Delayed(envelope, 0.002)] if envelope.sequence == 0 else [envelope]

    got = await arrivals(fault, [new_envelope(n) for n in range(3)])
    assert [envelope.sequence for envelope in got] == [1, 2, 0]


async def test_the_inbox_mends_delay_and_duplication(new_envelope: Make) -> None:
    sent = [new_envelope(n) for n in range(200)]
    faults = RandomFaults(np.random.default_rng(7), duplicate=0.3, delay=0.5)
    got = await arrivals(faults, sent)
    assert len(got) > 200
    assert [envelope.sequence for envelope in got] != sorted(envelope.sequence for envelope in got)
    inbox = Sequencer()
    assert [envelope for arrived in got for envelope in inbox.accept(arrived)] == sent


def test_faults_occur_with_their_probabilities(new_envelope: Make) -> None:
    # 4.9 sigma either way: a false alarm once in a million per bound, three bounds.
    count, drop, duplicate, delay = 20_000, 0.2, 0.3, 0.25
    faults = RandomFaults(np.random.default_rng(11), drop, duplicate, delay)
    outcomes = [list(faults(new_envelope())) for _ in range(count)]
    kept = [outcome for outcome in outcomes if outcome]
    copies = [copy for outcome in kept for copy in outcome]

    def close(hits: int, trials: int, probability: float) -> bool:
        return abs(hits - trials * probability) < 4.9 * sqrt(trials * probability * (1 - probability))

    assert close(count - len(kept), count, drop)
    assert close(sum(len(outcome) == 2 for outcome in kept), len(kept), duplicate)
    assert close(sum(isinstance(copy, Delayed) for copy in copies), len(copies), delay)


def test_one_seed_makes_one_story(new_envelope: Make) -> None:
    stories = [
        [list(faults(new_envelope(n))) for n in range(100)]
        for faults in (RandomFaults(np.random.default_rng(3), 0.1, 0.2, 0.3) for _ in range(2))
    ]
    assert stories[0] == stories[1]
