"""The deadline of a link bounds the whole wait: for the peer, and for the time at which its part is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

import numpy as np
import pytest

from nodes.errors import DeadlinePassed
from nodes.runtime.clock import RealTimeClock
from nodes.runtime.links import FibreLink
from nodes.runtime.qubits import Register
from shared_state.client import NodeClient
from shared_state.config import (
    ClockConfig,
    FibreConfig,
    LinkDevices,
    NodeDevices,
    PulseConfig,
    ServerConfig,
    WernerSource,
    WorldConfig,
)
from shared_state.service import Service

pytestmark = pytest.mark.alone

DEADLINE = 0.05
FAR = FibreConfig(2e11)  # light takes 1000 s
PULSES = PulseConfig(pulse_rate=1e-3, intensity_probabilities=(1.0,), intensities=(1.0,))
Wait = Callable[[FibreLink], Awaitable[object]]


def service() -> Service:
    link = LinkDevices(("alice", "bob"), FAR, WernerSource(rate=1e-3), PULSES)
    world = WorldConfig(
        {"alice": NodeDevices(), "bob": NodeDevices()}, {"ab": link}, clock=ClockConfig("real-time"), seed=1
    )
    return Service(ServerConfig("lab", world, {"alice": "a", "bob": "b"}, "o"), monotonic)


def bits(_: FibreLink) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.zeros(2, dtype=np.uint8)


async def emit(link: FibreLink) -> None:
    register = link.register
    await register.client.emit_pulses(0.0, "run", "ab", bits(link), bits(link), bits(link))


async def emit_train(link: FibreLink) -> None:
    await link.register.client.emit_train(0.0, "run", "ab", 2)


async def send(link: FibreLink) -> None:
    await link.send(await link.register.qubit())


@pytest.mark.parametrize(
    ("hers", "his"),
    [
        (lambda link: link.register.client.pair(0.0, "run", "ab"), lambda link: link.pair()),
        (lambda link: link.register.client.pairs(0.0, "run", "ab", 2), lambda link: link.pairs(2)),
        (send, lambda link: link.receive()),
        (emit, lambda link: link.measure_pulses(bits(link))),
        (emit_train, lambda link: link.measure_train(2)),
    ],
)
async def test_who_waits_for_what_comes_after_the_deadline_is_told(hers: Wait, his: Wait) -> None:
    server = service()
    links = {}
    for name, peer in (("alice", "bob"), ("bob", "alice")):
        client = await NodeClient.local(server, name=name)
        register = Register(client, RealTimeClock(client.now), "run")
        links[name] = FibreLink(register, "run", "ab", "ab", peer, DEADLINE)
    began = monotonic()
    with pytest.raises(DeadlinePassed):
        await asyncio.gather(hers(links["alice"]), his(links["bob"]))
    assert monotonic() - began < 10  # and not a thousand
    for link in links.values():
        await link.register.client.close()
