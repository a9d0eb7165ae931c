"""Get entangled pairs over the network, judge them, and estimate their fidelity from some that are measured.

    Alice                                     Bob
    1  request pairs                          1  accept
    2  of some measure her half in X, Y or Z  2  of the same measure his in the same basis
    3  keep the others                        3  keep the others

Which pairs are tested, and in which basis, follows from their order, which is the same at both ends. The estimate is
F = (1 + <XX> - <YY> + <ZZ>)/4 with its standard error, and needs no oracle; readouts that err make it worse.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from nodes.errors import ProtocolViolation, TooFewOutcomes
from nodes.estimation.bell_pairs import bell_fidelity
from nodes.estimation.correlations import correlation
from nodes.estimation.estimates import mean_and_error
from nodes.estimation.tomogram import BASES
from nodes.estimation.trials import tally
from nodes.network.swap import PHI_PLUS
from nodes.ports import Qubit, Referee, Rounds
from nodes.requests import Network, Pairs, SharedHalf, Terms


@dataclass(frozen=True, slots=True)
class Tested:
    """A pair that was measured: its id, the basis' index in X, Y, Z, and this end's outcome."""

    pair: str
    basis: int
    bit: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A pair that was kept: id, half, when it was made and when it was there in emulated seconds, the nodes that it
    came by; and the pairs tested since the last one that was kept."""

    pair: str
    half: Qubit
    heralded_at: float
    delivered_at: float
    path: tuple[str, ...]
    tested: tuple[Tested, ...]


async def alice(
    network: Network,
    rounds: Rounds,
    tests: int = -1,
    min_fidelity: float = 0.0,
    within: float = 0.0,
    cost: str = "rate",
    order: str = "asap",
    purify: str = "",
    window: int = 4,
    cutoff: float = 0.0,
) -> AsyncIterator[Kept]:
    """Request ``rounds`` pairs to keep and ``tests`` to measure, half as many by default, on these ``Terms``; times in
    seconds, 0 for none."""
    terms = Terms(
        min_fidelity=min_fidelity,
        within=within or None,
        cost=cost,
        order=order,
        purify=purify,
        window=window,
        cutoff=cutoff or None,
    )
    number = tests_of(rounds, tests)
    async with network.request("bob", rounds + number, terms) as pairs:  # 1
        async for kept in _sorted(pairs, rounds, number):
            yield kept


async def bob(network: Network, rounds: Rounds, tests: int = -1) -> AsyncIterator[Kept]:
    """Accept them."""
    async with network.accept("alice") as pairs:  # 1
        async for kept in _sorted(pairs, rounds, tests_of(rounds, tests)):
            yield kept


async def referee(oracle: Referee, alice: Any, bob: Any) -> dict[str, float]:
    """Compare a pair that was kept with |Phi+>, and bring the outcomes of those that were tested together."""
    if alice["pair"] != bob["pair"]:
        raise ProtocolViolation(f"alice has pair {alice['pair']} where bob has {bob['pair']}")
    outcomes = {
        f"{BASES[mine['basis']]}{mine['bit']}{its['bit']}:{number}": 1.0
        for number, (mine, its) in enumerate(zip(alice["tested"], bob["tested"], strict=True))
    }
    return {
        "fidelity": await oracle.fidelity([alice["half"], bob["half"]], PHI_PLUS),
        "age": max(alice["delivered_at"], bob["delivered_at"]) - alice["heralded_at"],
        "hops": len(alice["path"]) - 1,
        **outcomes,
    }


def summarise(rounds: list[dict[str, float]]) -> dict[str, float | None]:
    """Return the mean fidelity (oracle), the estimate from the pairs that were tested, mean age and hops of a pair."""
    fidelity, error = mean_and_error([each["fidelity"] for each in rounds])
    trials = [(name[0], int(name[1]), int(name[2])) for each in rounds for name in each if ":" in name]
    try:
        counts = tally(BASES, trials)
        estimate = bell_fidelity(*(correlation(count) for count in counts.values()))
    except TooFewOutcomes:
        estimate = None
    return {
        "fidelity_mean": fidelity,
        "fidelity_stderr": error,
        "estimate": None if estimate is None else estimate.value,
        "estimate_stderr": None if estimate is None else estimate.stderr,
        "tested": len(trials),
        "age_mean": fmean(each["age"] for each in rounds),
        "hops_mean": fmean(each["hops"] for each in rounds),
    }


def tests_of(rounds: int, tests: int) -> int:
    """Return how many pairs are measured: ``tests``, or half as many as are kept; never more than that many."""
    return min(rounds, (rounds + 1) // 2 if tests < 0 else tests)


def is_tested(index: int, rounds: int, tests: int) -> bool:
    """Tell whether the pair of that index is measured: they are spread evenly, and the last one is kept."""
    return (index * tests) % (rounds + tests) < tests


async def _sorted(pairs: Pairs[SharedHalf], rounds: int, tests: int) -> AsyncIterator[Kept]:
    tested: list[Tested] = []
    index = done = 0
    async for share in pairs:
        if is_tested(index, rounds, tests):
            basis = done % len(BASES)
            done += 1
            tested.append(Tested(share.pair, basis, await share.qubit.measure(BASES[basis])))  # 2
        else:
            yield Kept(  # 3
                share.pair, share.qubit, share.heralded_at, share.delivered_at, share.path, tuple(tested)
            )
            tested.clear()
        index += 1


def paths(returned: Iterable[dict[str, Any]]) -> list[list[str]]:
    """Return the different ways that pairs came by, in the order in which they were first taken."""
    return [list(path) for path in dict.fromkeys(tuple(each["alice"]["path"]) for each in returned)]
