"""The built-in routing controller: what it answers to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest

from broker.announcement import Announcement
from broker.envelope import Envelope
from broker.memory import MemoryBroker
from nodes import codec
from nodes.network.control import NoRoutes, RouteRequest, Routes
from nodes.network.prediction import purified
from nodes.runtime.attendants import attendants
from nodes.runtime.controller import RoutingController
from nodes.runtime.survey import topology, tunes
from shared_state.config import (
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    SingleClickSource,
    WernerSource,
    WorldConfig,
)

Chain = Callable[..., WorldConfig]


def controller(world: WorldConfig) -> RoutingController:
    return RoutingController(MemoryBroker().bus("controller"), "lab", topology(world), tunes(world))


async def test_it_says_that_it_is_there_so_that_who_missed_it_asks_again() -> None:
    hub, world = MemoryBroker(), diamond()
    async with (
        hub.bus("a", "lab", announcements=True) as node,
        hub.bus("controller", "lab") as bus,
        attendants() as attend,
    ):
        attend(RoutingController(bus, "lab", topology(world), tunes(world)).serve())
        delivery = await anext(node.deliveries())
        assert delivery.content == Announcement("controller", "status", {"state": "ready"})


def single_click(alpha: float = 0.1, emission: float = 0.01, nodes: int = 2) -> WorldConfig:
    """A chain whose links are single-click sources without other imperfections than double emission."""
    names = [f"n{number}" for number in range(nodes)]
    source = SingleClickSource(alpha=(alpha, alpha), emission=(emission, emission))
    return WorldConfig(
        nodes=dict.fromkeys(names, NodeDevices(MemoryConfig())),
        links={f"{a}-{b}": LinkDevices((a, b), FibreConfig(1e3), source) for a, b in pairwise(names)},
    )


def diamond() -> WorldConfig:
    """Two ways from a to d: over b, fast and poor; over c, slow and good."""
    links = {"a-b": (1e4, 0.85), "b-d": (1e4, 0.85), "a-c": (1e2, 0.98), "c-d": (1e2, 0.98)}
    return WorldConfig(
        nodes=dict.fromkeys("abcd", NodeDevices()),
        links={
            name: LinkDevices(
                (name[0], name[2]), FibreConfig(1e4), WernerSource(rate=rate, fidelity=fidelity)
            )
            for name, (rate, fidelity) in links.items()
        },
    )


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ({}, "b"),
        ({"cost": "fidelity"}, "c"),
        ({"min_fidelity": 0.9}, "c"),
        ({"min_fidelity": 0.7}, "b"),
        ({"avoid_nodes": ("b",)}, "c"),
        ({"avoid_links": ("c-d",)}, "b"),
        ({"avoid_links": ("a-b",), "cost": "hops"}, "c"),
    ],
)
def test_the_best_way_is_the_first_of_those_that_are_good_enough(
    asked: dict[str, object], first: str
) -> None:
    answer = controller(diamond()).answer(RouteRequest(7, "a", "d", **asked))  # type: ignore[arg-type]
    assert isinstance(answer, Routes)
    assert answer.number == 7
    assert answer.ways[0].nodes == ("a", first, "d")
    assert all(way.fidelity >= float(str(asked.get("min_fidelity", 0))) for way in answer.ways)


@pytest.mark.parametrize(
    ("asked", "failure", "told"),
    [
        (RouteRequest(1, "a", "e"), "no-route", "there is no node e"),
        (RouteRequest(1, "a", "a"), "no-route", "two different ends"),
        (RouteRequest(1, "a", "d", avoid_nodes=("b", "c")), "no-route", "is to be avoided: b, c"),
        (RouteRequest(1, "a", "d", min_fidelity=0.99), "unsupported", "a - c - d, has 0.96"),
    ],
)
def test_where_there_is_no_way_the_answer_says_why(asked: RouteRequest, failure: str, told: str) -> None:
    answer = controller(diamond()).answer(asked)
    assert isinstance(answer, NoRoutes)
    assert (answer.number, answer.failure) == (1, failure)
    assert told in answer.reason


def test_purified_links_reach_what_the_links_themselves_do_not() -> None:
    lab = controller(diamond())
    assert isinstance(lab.answer(RouteRequest(1, "a", "d", min_fidelity=0.97)), NoRoutes)
    purified = lab.answer(RouteRequest(1, "a", "d", min_fidelity=0.97, purify=("dejmps",)))
    assert isinstance(purified, Routes)
    assert purified.ways[0].nodes == ("a", "c", "d")


@pytest.mark.parametrize("wanted", [0.6, 0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("nodes", [2, 3, 5])
def test_the_brightest_states_are_chosen_that_are_good_enough(wanted: float, nodes: int) -> None:
    # Without other noise a single-click pair has F = 1 - alpha to first order; the rate is proportional to alpha.
    world = single_click(nodes=nodes)
    answer = controller(world).answer(RouteRequest(1, "n0", f"n{nodes - 1}", min_fidelity=wanted))
    assert isinstance(answer, Routes)
    (way,) = answer.ways
    assert wanted <= way.fidelity <= wanted + 1e-3
    (alpha,) = set(way.alphas)
    assert alpha is not None
    parameter = ((4 * wanted - 1) / 3) ** (1 / (nodes - 1))  # of each link, as Werner pairs
    assert alpha == pytest.approx(1 - (1 + 3 * parameter) / 4, rel=0.02)


def test_what_no_bright_state_reaches_is_refused_with_the_best_there_is() -> None:
    noisy = GateConfig(two_fidelity=0.9)
    world = single_click(nodes=3)
    world.nodes["n1"] = NodeDevices(MemoryConfig(), noisy)
    answer = controller(world).answer(RouteRequest(1, "n0", "n2", min_fidelity=0.99))
    assert isinstance(answer, NoRoutes)
    assert answer.failure == "unsupported"


async def test_who_asks_nonsense_gets_an_answer_and_the_next_one_his(chain: Chain) -> None:
    hub = MemoryBroker()
    world = chain("alice", "bob")
    async with attendants() as attend, hub.bus("alice", "lab") as alice, hub.bus("controller", "lab") as bus:
        attend(RoutingController(bus, "lab", topology(world), tunes(world)).serve())
        sensible = codec.fields_of(RouteRequest(2, "alice", "bob"))
        for sequence, body in enumerate(({"number": 1, "source": 5}, {}, sensible)):
            await alice.publish(
                Envelope(
                    "lab",
                    "alice",
                    "controller",
                    "routing",
                    "run-1:net",
                    sequence,
                    0.0,
                    0.0,
                    "RouteRequest",
                    body,
                )
            )
        answers = []
        async with asyncio.timeout(5):
            async for delivery in alice.deliveries():
                if isinstance(delivery.content, Envelope):
                    answers.append(delivery.content)
                delivery.acknowledge()
                if len(answers) == 3:
                    break
    assert [answer.kind for answer in answers] == ["NoRoutes", "NoRoutes", "Routes"]
    assert [answer.sequence for answer in answers] == [0, 1, 2]
    assert [answer.body["number"] for answer in answers] == [1, 0, 2]


async def answered(
    world: WorldConfig, said: list[tuple[str, str, int]], over: str
) -> list[tuple[str, str, int]]:
    """Ask as senders in sessions, let the run ``over`` be over before the last question; return what is answered."""
    hub, answers = MemoryBroker(), list[tuple[str, str, int]]()
    body = codec.fields_of(RouteRequest(1, "alice", "bob"))
    async with hub.bus("controller", "lab") as bus, hub.bus("alice", "lab") as alice, attendants() as attend:
        lab = RoutingController(bus, "lab", topology(world), tunes(world))
        attend(lab.serve())
        async with hub.bus("bob", "lab") as bob, asyncio.timeout(5):
            for sender, session, sequence in said:
                if (sender, session, sequence) == said[-1]:
                    lab.forget(over)
                asks = alice if sender == "alice" else bob
                asked = Envelope(
                    "lab", sender, "controller", "routing", session, sequence, 0.0, 0.0, "RouteRequest", body
                )
                await asks.publish(asked)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        async for delivery in asks.deliveries():
                            delivery.acknowledge()
                            if isinstance(delivery.content, Envelope):
                                answers.append((sender, delivery.content.session, delivery.content.sequence))
                                break
    return answers


async def test_it_forgets_what_was_asked_in_runs_that_are_over_and_nothing_else(chain: Chain) -> None:
    living = [("alice", "run-1:net", 0), ("bob", "run-1:net", 0), ("alice", "run-10:net", 0)]
    said = [*living, ("bob", "run-1:net", 1), ("alice", "run-10:net", 1)]
    assert await answered(chain("alice", "bob"), said, "run-1") == said
    late = [*living, ("bob", "run-1:net", 1)]
    assert await answered(chain("alice", "bob"), late, "run-1") == living


async def test_who_leaves_too_many_gaps_ends_nothing(chain: Chain) -> None:
    gaps = [("bob", "run-1:net", sequence) for sequence in range(1, 1027)]
    hub, world = MemoryBroker(), chain("alice", "bob")
    body = codec.fields_of(RouteRequest(1, "alice", "bob"))
    async with (
        hub.bus("controller", "lab") as bus,
        hub.bus("alice", "lab") as alice,
        hub.bus("bob", "lab") as bob,
        attendants() as attend,
    ):
        attend(RoutingController(bus, "lab", topology(world), tunes(world)).serve())
        for sender, session, sequence in [*gaps, ("alice", "run-1:net", 0)]:
            await (alice if sender == "alice" else bob).publish(
                Envelope(
                    "lab", sender, "controller", "routing", session, sequence, 0.0, 0.0, "RouteRequest", body
                )
            )
        async with asyncio.timeout(5):
            async for delivery in alice.deliveries():
                if isinstance(delivery.content, Envelope):
                    assert delivery.content.kind == "Routes"
                    break


@pytest.mark.parametrize(("gate", "readout"), [(0.99, 1.0), (0.97, 0.99), (0.9, 1.0)])
def test_purification_is_predicted_with_the_gates_and_readouts_there_are(gate: float, readout: float) -> None:
    # With two_fidelity 0.9 a pair of 0.95 comes out at 0.885 (seen over the network): worse than it went in.
    error = 1 - readout
    devices = NodeDevices(gates=GateConfig(two_fidelity=gate, readout_error_0=error, readout_error_1=error))
    link = LinkDevices(("a", "b"), FibreConfig(1.0), WernerSource(fidelity=0.95))
    lab = controller(WorldConfig(nodes=dict.fromkeys("ab", devices), links={"a-b": link}))
    expected, _ = purified(0.95, "dejmps", 1, gate, readout)
    good = lab.answer(RouteRequest(1, "a", "b", min_fidelity=expected - 1e-6, purify=("dejmps",)))
    assert isinstance(good, Routes)
    assert isinstance(
        lab.answer(RouteRequest(1, "a", "b", min_fidelity=expected + 1e-6, purify=("dejmps",))), NoRoutes
    )
    assert (expected > 0.95) is (gate > 0.98)


@pytest.mark.parametrize(
    ("weights", "first"), [({"a-b": 3.0}, "c"), ({"a-c": 1.5, "c-d": 0.9}, "b"), ({}, "b")]
)
def test_a_way_may_be_the_best_by_the_users_own_weights(weights: dict[str, float], first: str) -> None:
    world = diamond()
    bus = MemoryBroker().bus("controller")
    lab = RoutingController(bus, "lab", topology(world), tunes(world), weights)
    answer = lab.answer(RouteRequest(1, "a", "d", cost="weight"))
    assert isinstance(answer, Routes)
    assert answer.ways[0].nodes == ("a", first, "d")


def test_a_cost_that_only_others_know_is_refused_with_those_there_are() -> None:
    answer = controller(diamond()).answer(RouteRequest(1, "a", "d", cost="price"))
    assert isinstance(answer, NoRoutes)
    assert answer.failure == "unsupported"
    assert "knows rate, fidelity, length, hops and weight, not 'price'" in answer.reason
