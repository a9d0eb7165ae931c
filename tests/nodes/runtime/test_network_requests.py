"""Requests for pairs that compete, wait, are denied, left or mistaken: each is served, or fails with its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from nodes.errors import RunFailed
from nodes.link.service import Failure
from nodes.network.memories import MemoryBudget
from nodes.runtime.programs import Scalar
from shared_state.config import GateConfig, WorldConfig
from tests.nodes.runtime.network_lab import ENDS, network, network_lab, row, werner

HERE = Path(__file__).parent
TWO, FOUR = str(HERE / "shared_demands.py"), str(HERE / "shared_demands_of_four.py")
ALL = {name: name for name in ("alice", "bob", "carol", "dave")}
CROSSWISE = [*row("alice", "r1", "r2", "bob"), ("carol", "r2"), ("r1", "dave")]
"""Alice's way to Bob leads over r1 and then r2, Carol's to Dave over r2 and then r1."""

Tales = dict[str, list[dict[str, Any]]]


async def told(
    world: WorldConfig, program: str = TWO, rounds: int = 1, deadline: float = 5.0, **parameters: Scalar
) -> Tales:
    """Run a program of demands; return what each role tells of the last round. Nothing may be left of it."""
    async with network_lab(world) as lab:
        roles = ALL if program == FOUR else ENDS
        result = await lab.run(parameters, program, roles, deadline=deadline, rounds=rounds)
        assert await lab.left_behind() == {}
    tales: Tales = result.returned[-1]
    return tales


def check_served(tales: Tales, *roles: str, number: int = 10) -> None:
    """Fail unless these roles have got all they asked for, and both ends the same in one order."""
    for role in roles:
        for tale in tales[role]:
            assert (len(tale["pairs"]), tale["failure"]) == (number, ""), (
                role,
                tale["failure"],
                tale["reason"],
            )
    for mine, its in zip(tales[roles[0]], tales[roles[1]], strict=True):
        assert mine["pairs"] == its["pairs"]


# memories


def _reachable(
    start: tuple[int, ...], steps: Callable[[tuple[int, ...]], Iterator[tuple[int, ...]]]
) -> set[tuple[int, ...]]:
    seen, frontier = {start}, [start]
    while frontier:
        for state in steps(frontier.pop()):
            if state not in seen:
                seen.add(state)
                frontier.append(state)
    return seen


def _repeater(memories: int, places: int) -> Callable[[tuple[int, ...]], Iterator[tuple[int, ...]]]:
    """A repeater in (halves of the left link, of the right link): a link makes a pair where a memory is free and it has
    fewer than ``places``; one of either side is swapped away."""

    def steps(state: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        left, right = state
        if left + right < memories and left < places:
            yield left + 1, right
        if left + right < memories and right < places:
            yield left, right + 1
        if left and right:
            yield left - 1, right - 1

    return steps


def _crossing(*, waits: bool) -> Callable[[tuple[int, ...]], Iterator[tuple[int, ...]]]:
    """Two circuits that need all of r1 and all of r2, one in this order and one in the other.

    A state tells how many nodes each has; with both, 2, a circuit is served, 3, and gives them back. One that finds its
    second node taken ``waits`` for it with the first one in hand, or gives that back.
    """

    def steps(state: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        for circuit in (0, 1):
            mine, its = state[circuit], state[1 - circuit]
            free = its in (0, 3) or (
                its == 1 and mine == 0
            )  # with one node the other has just its own first one
            if mine == 2:
                after = 3
            elif mine < 2 and free:
                after = mine + 1
            elif mine == 1 and not waits:
                after = 0
            else:
                continue
            yield (after, its) if circuit == 0 else (its, after)

    return steps


def test_memories_that_are_taken_as_pairs_come_fill_up_with_one_link() -> None:
    """The naive policy: whichever link makes a pair first has a memory."""
    naive, ours = _repeater(2, places=2), _repeater(2, places=1)
    stuck = {state for state in _reachable((0, 0), naive) if not list(naive(state))}
    assert stuck == {(2, 0), (0, 2)}
    assert not [state for state in _reachable((0, 0), ours) if not list(ours(state))]


def test_circuits_that_wait_for_memories_with_others_in_hand_wait_for_each_other() -> None:
    naive, ours = _crossing(waits=True), _crossing(waits=False)
    stuck = {state for state in _reachable((0, 0), naive) if not list(naive(state))}
    assert stuck == {(1, 1), (3, 3)}  # each has one node; and both are served
    assert {state for state in _reachable((0, 0), ours) if not list(ours(state))} == {(3, 3)}


def test_a_budget_sets_places_aside_on_each_side_and_leaves_some_to_others() -> None:
    for count, window in product(range(2, 13), range(1, 6)):
        budget = MemoryBudget(count)
        places = budget.admit(sides=2, least=1, window=window, batch=1)
        assert 1 <= places <= window
        assert places == 1 or budget.promised <= count / 2
        budget.release(budget.promised)
        assert budget.free == count


@pytest.mark.parametrize("order", ["asap", "nested", "r2,r1,r3"])
async def test_repeaters_of_two_memories_serve_any_number_of_requests_from_both_sides(order: str) -> None:
    memories = {"alice": 12, "bob": 12, "r1": 2, "r2": 2, "r3": 2}
    world = network(row("alice", "r1", "r2", "r3", "bob"), memories=memories)
    tales = await told(world, requests=3, backwards=3, order=order)
    check_served(tales, "alice", "bob")


async def test_circuits_that_need_each_others_memories_crosswise_are_both_served() -> None:
    tales = await told(network(CROSSWISE, memories=2), FOUR, number=50, further=50)
    check_served(tales, "alice", "bob", number=50)
    check_served(tales, "carol", "dave", number=50)


async def test_who_finds_no_memory_free_is_served_later() -> None:
    tales = await told(network(CROSSWISE, memories=2), FOUR, number=50, pause=0.01, late=1e-4)
    check_served(tales, "carol", "dave")
    assert min(tales["carol"][0]["times"]) > max(tales["alice"][0]["times"])


async def test_who_finds_no_memory_free_by_the_deadline_is_told_which() -> None:
    tales = await told(network(CROSSWISE, memories=2), FOUR, number=50, pause=0.05, further_within=0.3)
    check_served(tales, "alice", "bob", number=50)
    (carol,), (dave,) = tales["carol"], tales["dave"]
    assert carol["failure"] == dave["failure"] == Failure.TIMEOUT
    assert "'r2' has 0 of 2 memories free, and a circuit takes 2 there" in carol["reason"]
    assert carol["ended_at"] == 0.3
    assert dave["ended_at"] < 0.3001


async def test_without_a_deadline_it_gives_up_after_some_seconds() -> None:
    tales = await told(network(CROSSWISE, memories=2), FOUR, number=500, pause=0.05)
    check_served(tales, "alice", "bob", number=500)
    (carol,) = tales["carol"]
    assert carol["failure"] == Failure.OUT_OF_MEMORY
    assert carol["reason"] == "'r2' has 0 of 2 memories free, and a circuit takes 2 there"
    assert 1 < carol["ended_at"] < 5


async def test_a_role_may_keep_as_many_pairs_as_there_are_memories() -> None:
    world = network(row("alice", "r1", "bob"), memories=8)
    check_served(await told(world, number=8, hold=8, window=4), "alice", "bob", number=8)


async def test_a_role_that_keeps_more_waits_in_vain_and_is_told_so() -> None:
    world = network(row("alice", "r1", "bob"), memories=8)
    tales = await told(world, number=9, hold=9, within=1.0)
    for role in ("alice", "bob"):
        (tale,) = tales[role]
        assert (tale["failure"], len(tale["pairs"])) == (Failure.TIMEOUT, 8)
        assert tale["reason"].startswith("8 of 9 were delivered")
        assert tale["reason"].endswith("when the deadline passed")
    assert "8 of them not used" in tales["alice"][0]["reason"]
    with pytest.raises(RunFailed, match=r"alice for a pair with bob \(8 delivered, 8 not used\)") as failure:
        await told(world, number=9, hold=9)
    assert failure.value.cause == "Deadlock"


# sharing


@pytest.mark.parametrize("requests", [2, 3])
async def test_requests_that_share_a_link_share_it_equally(requests: int) -> None:
    """Of the pairs until the first request ends each has its share: within 4.9 standard deviations of fair dice, so a
    false alarm has a probability of 1e-6 at most."""
    number = 300
    tales = await told(network(row("alice", "bob"), memories=40), number=number, requests=requests)
    check_served(tales, "alice", "bob", number=number)
    first = min(max(tale["times"]) for tale in tales["alice"])
    shares = [sum(time <= first for time in tale["times"]) for tale in tales["alice"]]
    mean = sum(shares) / requests
    for share in shares:
        assert abs(share - mean) <= 4.9 * sqrt(sum(shares) / requests * (1 - 1 / requests))


async def test_many_requests_at_once_in_both_directions_are_all_served() -> None:
    world = network(row("alice", "r1", "r2", "bob"), memories=60)
    check_served(await told(world, requests=6, backwards=6, number=15), "alice", "bob", number=15)


async def test_requests_come_one_after_the_other_for_round_after_round() -> None:
    check_served(await told(network(row("alice", "r1", "bob"), memories=2), rounds=12), "alice", "bob")


# what is asked for


SIGNS = {"X": 0, "Y": 1, "Z": 0}
"""Whether the outcomes of |Phi+> differ."""


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("readout", [0.0, 1e-3])
async def test_outcomes_agree_in_x_and_z_and_differ_in_y_over_several_swaps(
    batch: int, readout: float
) -> None:
    """Also where a readout takes longer than the news of the swaps."""
    names = row("alice", "r1", "r2", "r3", "bob")
    world = network(names, memories=40, fidelity=1.0, gates=GateConfig(readout_duration=readout))
    tales = await told(world, kind="outcomes", number=60, batch=batch)
    check_served(tales, "alice", "bob", number=60)
    alike = dict.fromkeys("XYZ", 0)
    (alice,), (bob,) = tales["alice"], tales["bob"]
    for (basis, mine), (other, its) in zip(alice["outcomes"], bob["outcomes"], strict=True):
        assert len(mine) == len(its) == batch
        if basis == other:
            alike[basis] += 1
            assert all(a ^ b == SIGNS[basis] for a, b in zip(mine, its, strict=True)), basis
    assert (
        min(alike.values()) > 0
    )  # of 60 with a third of the bases alike: false alarm (8/9)^60 3 = 3e-3 per basis


async def test_batches_come_whole_and_in_one_order() -> None:
    world = network(row("alice", "r1", "r2", "bob"), memories=40)
    check_served(await told(world, kind="batches", number=20, batch=5), "alice", "bob", number=20)


async def pairs_of(world: WorldConfig, **terms: Scalar) -> tuple[dict[str, Any], dict[str, float | None]]:
    """Let Alice and Bob keep pairs; return Alice's story and the figures."""
    async with network_lab(world) as lab:
        result = await lab.run(terms)
        assert await lab.left_behind() == {}
    story: dict[str, Any] = result.returned[0]["alice"]
    assert result.returned[0]["bob"]["failure"] == story["failure"]
    return story, result.figures


@pytest.mark.parametrize("order", ["asap", "nested", "r1", "r3,r1", "r1,r3,r2"])
async def test_whatever_the_order_of_swaps_the_pairs_are_the_same(order: str) -> None:
    story, figures = await pairs_of(network(row("alice", "r1", "r2", "r3", "bob")), number=3, order=order)
    assert (story["failure"], len(story["halves"])) == ("", 3)
    fidelities = [
        value for name, value in figures.items() if name.startswith("fidelity") and name.endswith("_mean")
    ]
    assert fidelities == pytest.approx([werner(4)] * 3, abs=1e-9)


async def test_an_order_of_nodes_that_the_way_does_not_take_is_unsupported() -> None:
    story, _ = await pairs_of(network(row("alice", "r1", "bob")), order="r1,r7")
    assert story["failure"] == Failure.UNSUPPORTED
    assert story["reason"] == "'r7' does not swap between the ends; there are: r1"


@pytest.mark.parametrize("purify", ["dejmps", "bbpssw,1:dejmps", "1:dejmps,1:dejmps"])
async def test_purified_pairs_are_better(purify: str) -> None:
    story, figures = await pairs_of(network(row("alice", "r1", "r2", "bob"), memories=20), purify=purify)
    assert (story["failure"], len(story["halves"])) == ("", 2)
    better = [value for name, value in figures.items() if name.startswith("fid") and name.endswith("_mean")]
    assert len(better) == 2
    assert all(value is not None and value > werner(3) + 0.005 for value in better)


async def test_what_is_older_than_the_cut_off_is_discarded_at_both_ends() -> None:
    """Links make a pair in 100 us, and a repeater keeps one for 30 us: most are given up, and none by one end only."""
    world = network(row("alice", "r1", "r2", "bob"), memories=40)
    slow, _ = await pairs_of(world, number=10, window=10, cutoff=3e-5)
    fast, _ = await pairs_of(world, number=10, window=10)
    assert (slow["failure"], len(slow["halves"])) == ("", 10)
    made = [max(int(pair.partition("/")[2]) for pair in story["halves"]) for story in (slow, fast)]
    assert made[0] > 2 * made[1]


async def test_no_way_leads_to_who_is_not_linked() -> None:
    story, _ = await pairs_of(network([("alice", "r1"), ("bob", "r2")]), number=1)
    assert story["failure"] == Failure.NO_ROUTE
    assert "no chain of links that store pairs leads from alice to bob" in story["reason"]


# who does not want


@pytest.mark.parametrize("after", [0.0, 2e-4])
@pytest.mark.parametrize("kind", ["keep", "batches", "outcomes"])
async def test_a_request_that_nobody_accepts_is_denied(kind: str, after: float) -> None:
    world = network(row("alice", "r1", "bob"), memories=20)
    tales = await told(world, kind=kind, accepts="nothing", after=after)
    (alice,) = tales["alice"]
    assert alice["failure"] == Failure.DENIED
    assert len(alice["pairs"]) <= (
        4 if after else 0
    )  # bob's halves wait for a role for as long as he may accept
    assert alice["reason"] in ("no role at 'bob' accepts the request", "the role at 'bob' has ended")


@pytest.mark.parametrize("kind", ["keep", "batches", "outcomes"])
async def test_who_accepts_may_end_early_and_both_have_the_same(kind: str) -> None:
    world = network(row("alice", "r1", "r2", "bob"), memories=40)
    tales = await told(world, kind=kind, number=20, satisfied=3)
    (alice,), (bob,) = tales["alice"], tales["bob"]
    assert (alice["failure"], alice["reason"]) == (Failure.DENIED, "the role at 'bob' wants no more")
    assert bob["failure"] == ""
    assert alice["pairs"][:3] == bob["pairs"]


@pytest.mark.parametrize("enough", [0, 1, 5])
@pytest.mark.parametrize("kind", ["keep", "batches", "outcomes"])
async def test_who_asks_may_end_early_and_the_other_end_is_told(kind: str, enough: int) -> None:
    world = network(row("alice", "r1", "r2", "bob"), memories=40)
    tales = await told(world, kind=kind, number=20, enough=enough)
    (alice,), (bob,) = tales["alice"], tales["bob"]
    assert (alice["failure"], len(alice["pairs"])) == ("", enough)
    assert (bob["failure"], bob["reason"]) == (Failure.CANCELLED, "nobody wants more")
    assert bob["pairs"][:enough] == alice["pairs"]


@pytest.mark.parametrize(
    ("kind", "accepts"), [("keep", "batches"), ("outcomes", "keep"), ("batches", "outcomes")]
)
async def test_who_accepts_another_kind_than_is_asked_for_is_told_what_is_wrong(
    kind: str, accepts: str
) -> None:
    world = network(row("alice", "r1", "bob"), memories=40)
    with pytest.raises(RunFailed, match="request and accept the same") as failure:
        await told(world, kind=kind, accepts=accepts)
    assert (failure.value.node, failure.value.cause) == ("bob", "ProgramInvalid")


FAILING = """
from __future__ import annotations
from nodes.requests import Network

async def alice(network: Network, fails: str = "", at: int = 3):
    async with network.request("bob", 10) as pairs:
        await _take(pairs, at if fails == "alice" else 10)

async def bob(network: Network, fails: str = "", at: int = 3):
    async with network.accept("alice") as pairs:
        await _take(pairs, at if fails == "bob" else 10)

async def _take(pairs, number):
    for _ in range(number):
        await (await pairs.next()).qubit.discard()
    if number < 10:
        raise ValueError("out of ideas")
"""


@pytest.mark.parametrize("at", [0, 3, 9])
@pytest.mark.parametrize("fails", ["alice", "bob"])
async def test_a_role_that_fails_in_the_middle_leaves_nothing_behind(
    tmp_path: Path, fails: str, at: int
) -> None:
    (tmp_path / "mine.py").write_text(FAILING)
    async with network_lab(network(row("alice", "r1", "r2", "bob"))) as lab, asyncio.timeout(4):
        with pytest.raises(RunFailed, match="out of ideas") as failure:
            await lab.run({"fails": fails, "at": at}, str(tmp_path / "mine.py"))
        assert (failure.value.node, failure.value.cause) == (fails, "ValueError")
        assert await lab.left_behind() == {}
        result = await lab.run({}, str(tmp_path / "mine.py"))
        assert result.returned == [{"alice": None, "bob": None}]
        assert await lab.left_behind() == {}
