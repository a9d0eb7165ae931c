"""The network under faults: messages hit, nodes killed, links cut, and a routing controller at fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import numpy as np
import pytest

from broker.bus import Bus
from broker.envelope import Envelope
from nodes import codec
from nodes.errors import RunFailed
from nodes.link.service import Failure
from nodes.network.control import NoRoutes, Routes
from nodes.network.request import Way
from nodes.runtime.clock import Alone, VirtualClock
from nodes.runtime.halves import HeldHalves
from nodes.runtime.programs import Scalar
from nodes.runtime.qubits import Register
from nodes.runtime.units import Batch, Single, Unit, UnitGone
from shared_state.client import NodeClient
from shared_state.config import WorldConfig
from shared_state.conversation import Durations
from shared_state.deliveries import PairsDelivery
from shared_state.errors import LinkDown
from tests.nodes.runtime.network_lab import (
    RING,
    NetworkLab,
    Walker,
    delayed,
    doubled,
    dropped,
    network,
    network_lab,
    row,
    werner,
)
from tests.nodes.runtime.network_walks import check, walk_messages, walk_strikes

pytestmark = pytest.mark.thorough

THREE_LINKS = network(row("alice", "r1", "r2", "bob"))
FOUR_LINKS = network(row("alice", "r1", "r2", "r3", "bob"))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("world", "fidelity", "terms"),
    [
        (THREE_LINKS, werner(3), {}),
        (FOUR_LINKS, werner(4), {"order": "nested"}),
        (FOUR_LINKS, werner(4), {"cutoff": 3e-4}),
        (THREE_LINKS, None, {"purify": "1:dejmps"}),
    ],
    ids=["as soon as possible", "nested", "with a cut-off", "purified from end to end"],
)
async def test_no_message_of_a_request_can_be_dropped_doubled_or_delayed_to_any_harm(
    world: WorldConfig, fidelity: float | None, terms: dict[str, Scalar]
) -> None:
    assert await walk_messages(world, (dropped, doubled, delayed), fidelity, terms) > 50


@pytest.mark.thorough
@pytest.mark.parametrize("victim", ["r1", "r2"])
async def test_a_repeater_that_dies_at_any_point_is_gone_around(victim: str) -> None:
    assert await walk_strikes(network(RING), lambda lab: lab.kill(victim)) > 0


@pytest.mark.thorough
@pytest.mark.parametrize("link", ["alice-r1", "r1-r2", "r2-bob"])
async def test_a_link_that_is_cut_at_any_point_is_gone_around(link: str) -> None:
    both = await walk_strikes(
        network(RING),
        lambda lab: lab.oracle.set_link(link, up=False),
        mended=lambda lab: lab.oracle.set_link(link, up=True),
    )
    assert both > 0


@pytest.mark.parametrize("point", [5, 9, 11])
@pytest.mark.parametrize("victim", ["r1", "r2"])
async def test_without_another_way_the_request_fails_by_its_deadline(victim: str, point: int) -> None:
    walker = Walker(point, strike=lambda lab: lab.kill(victim))
    async with network_lab(THREE_LINKS, walker) as lab:
        result = await lab.run({"number": 4, "within": 0.5})
        check(result, 4, 0.5, werner(3))
        story = result.returned[0]["alice"]
        assert story["failure"] in (Failure.NODE_GONE, Failure.TIMEOUT)
        assert f"node '{victim}' has left" in story["reason"]
        await walker.done()
        assert await lab.left_behind() == {}


@pytest.mark.parametrize("mended", [True, False])
async def test_over_a_link_that_is_mended_in_time_the_request_goes_on(mended: bool) -> None:
    """While the link is down the request tries again and again, until its deadline."""

    async def cut(lab: NetworkLab) -> None:
        await lab.oracle.set_link("r1-r2", up=False)
        if mended:
            while walker.sent.count("RouteRequest") < 4:  # noqa: ASYNC110 - no event tells of another try
                await asyncio.sleep(0.0005)
            await lab.oracle.set_link("r1-r2", up=True)

    async with network_lab(THREE_LINKS, walker := Walker(9, strike=cut)) as lab:
        result = await lab.run({"number": 4, "within": 5.0})
        check(result, 4, 5.0, werner(3))
        story = result.returned[0]["alice"]
        await walker.done()
        if not mended:
            assert (story["failure"], story["ended_at"]) == (Failure.TIMEOUT, pytest.approx(5.0, abs=1e-3))
            assert "link 'r1-r2' is down" in story["reason"]
        else:
            assert (story["failure"], len(story["halves"])) == ("", 4)
        assert await lab.left_behind() == {}


@pytest.mark.parametrize("victim", ["alice", "bob"])
@pytest.mark.parametrize("point", [9, 14, 20])
async def test_when_an_end_dies_its_run_fails_and_another_run_over_the_same_nodes_goes_on(
    victim: str, point: int
) -> None:
    world = network([*row("alice", "r1", "r2", "bob"), ("carol", "r1"), ("r2", "dave")], memories=20)
    walker = Walker(point, strike=lambda lab: lab.kill(victim))
    async with network_lab(world, walker) as lab:
        mine = asyncio.create_task(lab.run({"number": 12}))
        other = lab.run({"number": 12, "within": 1.0}, roles={"alice": "carol", "bob": "dave"})
        check(await other, 12, 1.0, werner(3))
        with pytest.raises(RunFailed, match="the process ended while it played its part") as failure:
            await mine
        assert failure.value.node == victim
        await walker.done()
        assert await lab.left_behind() == {}


async def silent(bus: Bus) -> None:
    """Answer nothing."""
    await asyncio.Event().wait()


async def gone(bus: Bus) -> None:
    """Answer nothing, and say so."""
    await bus.announce("status", {"state": "left"})


def talking(kind: str, body: dict[str, Any]) -> Callable[[Bus], Coroutine[Any, Any, None]]:
    """Answer always the same, to the number of the question."""

    async def serve(bus: Bus) -> None:
        asked = 0
        async for delivery in bus.deliveries():
            if isinstance(question := delivery.content, Envelope):
                answer = {"number": question.body["number"]} | body
                at, session = question.sent_at, question.session
                await bus.publish(
                    Envelope(
                        question.lab,
                        bus.name,
                        question.sender,
                        "routing",
                        session,
                        asked,
                        at,
                        at,
                        kind,
                        answer,
                    )
                )
                asked += 1
            delivery.acknowledge()

    return serve


def ways(*nodes: str, links: tuple[str, ...] = ("alice-r1", "r1-r2", "r2-bob")) -> dict[str, Any]:
    """Return an answer of one way."""
    return codec.fields_of(Routes(0, (Way(nodes, links, 1.0, 1.0, 1e-5),))) | {}


def without_number(body: dict[str, Any]) -> dict[str, Any]:
    """Leave the question's number as it is."""
    return {name: value for name, value in body.items() if name != "number"}


@pytest.mark.parametrize(
    ("controller", "failure", "reason"),
    [
        (silent, Failure.NO_ROUTE, "the routing controller did not answer within 0.5 s"),
        (gone, Failure.NO_ROUTE, "the routing controller has left"),
        (talking("Routes", {}), Failure.NO_ROUTE, "the routing controller is at fault"),
        (talking("Routes", {"ways": ()}), Failure.NO_ROUTE, "it knows ways, and tells none"),
        (talking("Weather", {}), Failure.NO_ROUTE, "it answered with Weather"),
        (talking("Routes", {"number": "three", "ways": ()}), Failure.NO_ROUTE, "did not answer within"),
        (
            talking("Routes", without_number(ways("r1", "r2", "bob", links=("r1-r2", "r2-bob")))),
            Failure.NO_ROUTE,
            "does not lead there",
        ),
        (
            talking("Routes", without_number(ways("alice", "r1", "r2", "bob", links=("x",)))),
            Failure.NO_ROUTE,
            "there",
        ),
        (
            talking("Routes", without_number(ways("alice", "r2", "r1", "bob"))),
            Failure.UNSUPPORTED,
            "'alice' has no link 'alice-r1' with 'r2' that stores pairs",
        ),
        (
            talking("Routes", without_number(ways("alice", "r1", "alice", "bob"))),
            Failure.UNSUPPORTED,
            "no circuit leads over",
        ),
        (
            talking("Routes", without_number(ways("alice", "r1", "nobody", "bob"))),
            Failure.UNSUPPORTED,
            "'r1' has no link 'r1-r2' with 'nobody'",
        ),
        (
            talking("NoRoutes", without_number(codec.fields_of(NoRoutes(0, "bad-weather", "it rains")))),
            Failure.NO_ROUTE,
            "it rains",
        ),
    ],
)
async def test_a_controller_that_is_silent_or_talks_nonsense_is_blamed(
    controller: Callable[[Bus], Coroutine[Any, Any, None]], failure: Failure, reason: str
) -> None:
    async with network_lab(THREE_LINKS, controller=controller) as lab:
        result = await lab.run({"number": 1, "within": 1.0}, deadline=1.0)
        check(result, 1, 1.0, None)
        story = result.returned[0]["alice"]
        assert story["failure"] == failure
        assert reason in story["reason"]
        assert await lab.left_behind() == {}


async def test_a_controller_that_never_learns_is_not_asked_for_ever() -> None:
    """It offers the way that is to be avoided again and again."""
    stubborn = talking("Routes", without_number(ways("alice", "r1", "r2", "bob")))
    async with network_lab(THREE_LINKS, controller=stubborn) as lab:
        await lab.oracle.set_link("r1-r2", up=False)
        result = await lab.run({"number": 1}, deadline=1.0)
        story = result.returned[0]["alice"]
        assert story["failure"] == Failure.NO_ROUTE
        assert "leads over what is to be avoided" in story["reason"]
        assert await lab.left_behind() == {}


class CutOff:
    """A client of Nature whose halves are gone: their heralds were foretold, and the link was cut before they came."""

    durations = Durations()

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, None]]:
        async def refuse(*arguments: object) -> None:
            self.asked.append(name)
            raise LinkDown("link 'r1-r2' is down")

        return refuse


def held(client: CutOff, kind: str) -> Unit:
    """Return a half, or halves, that the client has been told of."""
    register = Register(cast(NodeClient, client), VirtualClock(Alone()), "run-1/alice-1")
    if kind == "one":
        return Single(register, len(client.asked), 0.0)
    halves = HeldHalves(register, "r1-r2")
    halves.add(PairsDelivery(1, 1, np.zeros(3)))
    return Batch(halves)


@pytest.mark.parametrize("kind", ["one", "several"])
async def test_halves_that_are_lost_to_a_cut_before_their_herald_end_what_is_done_with_them(
    kind: str,
) -> None:
    """In real time a node is told of pairs ahead of their heralds."""
    client = CutOff()
    with pytest.raises(UnitGone):
        await held(client, kind).swap(held(client, kind))
    with pytest.raises(UnitGone):
        await held(client, kind).measure("X")
    await held(client, kind).discard()
