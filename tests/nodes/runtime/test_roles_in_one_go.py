"""Roles that play all rounds in one go, and roles that several nodes play."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nodes.errors import ProgramInvalid, RunFailed
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.programs import load
from nodes.runtime.run_request import RunRequest
from shared_state.config import WorldConfig

Chain = Callable[..., WorldConfig]

HEAD = """
from __future__ import annotations
from dataclasses import dataclass
from nodes.ports import Memory, Peer, Peers, Rounds, several

@dataclass(frozen=True)
class Word:
    text: str
"""

YIELDING = (
    HEAD
    + """
async def alice(bob: Peer, rounds: Rounds, times: int = -1):
    for number in range(rounds if times < 0 else times):
        await bob.send(Word(str(number)))
        yield number

async def bob(alice: Peer, rounds: Rounds, memory: Memory):
    for _ in range(rounds):
        kept = await memory.qubit()
        yield (await alice.receive(Word)).text
"""
)

SEVERAL = (
    HEAD
    + """
async def centre(leaf: Peers) -> list[str]:
    for role, peer in leaf.items():
        await peer.send(Word(role))
    return [(await peer.receive(Word)).text for peer in leaf.values()]

@several
async def leaf(centre: Peer) -> str:
    word = await centre.receive(Word)
    await centre.send(word)
    return word.text

async def referee(centre: list[str], leaf: dict[str, str]) -> dict[str, float]:
    assert centre == list(leaf) == list(leaf.values())
    return {"leaves": len(leaf)}
"""
)


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Write a program; return its path."""

    def write(text: str) -> str:
        file = tmp_path / "mine.py"
        file.write_text(text)
        return str(file)

    return write


async def test_what_a_role_yields_is_what_it_returns_of_the_next_round(
    chain: Chain, program: Callable[[str], str]
) -> None:
    heard: list[int] = []
    async with in_memory_lab(chain("alice", "bob")) as lab:
        roles = {"alice": "alice", "bob": "bob"}
        result = await lab.run(RunRequest(program(YIELDING), roles, rounds=5), heard.append)
        assert (await lab.census()).qubits == 0  # what bob has kept over the rounds is discarded at the end
    assert result.returned == [{"alice": number, "bob": str(number)} for number in range(5)]
    assert heard == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("times", "told"), [(2, "only 2 times"), (7, "more than 4 times")])
async def test_a_role_that_yields_otherwise_than_rounds_are_played_is_told_so(
    chain: Chain, program: Callable[[str], str], times: int, told: str
) -> None:
    async with in_memory_lab(chain("alice", "bob")) as lab:
        request = RunRequest(
            program(YIELDING), {"alice": "alice", "bob": "bob"}, rounds=4, parameters={"times": times}
        )
        with pytest.raises(RunFailed, match=f"'alice' yields {told}|left|called off|everybody waits"):
            await lab.run(request)
        assert (await lab.census()).qubits == 0


@pytest.mark.parametrize("leaves", [1, 3, 11])
async def test_a_role_of_several_is_played_by_all_that_are_named(
    chain: Chain, program: Callable[[str], str], leaves: int
) -> None:
    names = [f"n{number}" for number in range(1, leaves + 1)]
    roles = {"centre": "hub"} | {f"leaf{number}": name for number, name in enumerate(names, 1)}
    async with in_memory_lab(chain("hub", *names)) as lab:
        result = await lab.run(RunRequest(program(SEVERAL), roles))
    assert result.figures["leaves_mean"] == leaves


def test_a_program_is_cast_with_one_role_for_each_name_in_the_order_of_their_numbers(
    program: Callable[[str], str],
) -> None:
    cast = load(program(SEVERAL)).cast(["leaf10", "leaf2", "centre", "leaf1", "leaves", "leafy3"])
    assert list(cast.roles) == ["centre", "leaf1", "leaf2", "leaf10"]
    with pytest.raises(ProgramInvalid, match="say who plays leaf1"):
        load(program(SEVERAL)).cast(["centre"])
