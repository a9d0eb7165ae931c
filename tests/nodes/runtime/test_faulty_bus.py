"""Programs over a classical network that delays, repeats and reorders, and over one that loses."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from broker.bus import Bus
from broker.envelope import Envelope
from broker.faulty import Delayed, FaultyBus, RandomFaults
from nodes.errors import RunFailed
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.orders import PROTOCOL
from nodes.runtime.run_request import RunRequest
from shared_state.config import WorldConfig

Chain = Callable[..., WorldConfig]
TWO = {"alice": "alice", "bob": "bob"}


@pytest.mark.parametrize(
    ("program", "rounds"), [("teleport", 60), ("swap", 60), ("entangle", 60), ("chsh", 60), ("qkd", 1)]
)
@pytest.mark.parametrize("seed", range(3))
async def test_delays_duplicates_and_disorder_change_no_result(
    chain: Chain, program: str, rounds: int, seed: int
) -> None:
    world = chain("alice", "charlie", "bob", fidelity=0.9)
    roles = TWO | ({"charlie": "charlie"} if program == "swap" else {})
    if program == "qkd":
        roles = {"alice": "alice", "bob": "charlie"}
    request = RunRequest(program, roles, rounds, {"pulses": 20_000} if program == "qkd" else {})
    chance = np.random.default_rng(seed)

    def disturbed(bus: Bus) -> Bus:
        return FaultyBus(bus, RandomFaults(chance, duplicate=0.3, delay=0.5, longest=0.002))

    async with in_memory_lab(world) as lab:
        expected = await lab.run(request)
    async with in_memory_lab(world, disturbed) as lab:
        result = await lab.run(request)
    assert len(result.returned) == rounds
    if program in ("teleport", "entangle"):
        # Every round's fidelity is the same whatever the outcomes: see the tests of the programs.
        assert result.figures["fidelity_mean"] == pytest.approx(expected.figures["fidelity_mean"], abs=1e-9)
    if program == "qkd":
        assert result.returned[0]["alice"]["aborted"] is False
        assert result.returned[0]["alice"]["qber"] == 0


def _losing(number: int) -> Callable[[Envelope], Iterable[Envelope | Delayed]]:
    """Lose the ``number``-th message of a program, and no report to the lab."""
    seen = 0

    def fault(envelope: Envelope) -> Iterable[Envelope | Delayed]:
        nonlocal seen
        if envelope.protocol == PROTOCOL:
            return [envelope]
        seen += 1
        return [] if seen == number else [envelope]

    return fault


@pytest.mark.parametrize("number", [1, 2, 7])
async def test_a_lost_message_ends_the_run_within_the_deadline_and_names_who_was_silent(
    chain: Chain, number: int
) -> None:
    fault = _losing(number)
    async with in_memory_lab(chain("alice", "bob"), lambda bus: FaultyBus(bus, fault)) as lab:
        with pytest.raises(RunFailed, match=r"'alice' did not send Correction .*within 0\.3 s") as failure:
            await lab.run(RunRequest("teleport", TWO, rounds=10, deadline=0.3))
        assert failure.value.node == "bob"
        assert failure.value.cause == "DeadlinePassed"
        again = await lab.run(RunRequest("teleport", TWO, rounds=10))
    assert again.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
