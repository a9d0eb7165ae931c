"""A program of one's own runs by the path of its file; what is wrong with it reaches the terminal, node and all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire, Program

pytestmark = pytest.mark.processes

PRELUDE = """
from dataclasses import dataclass
from typing import Annotated
from nodes.ports import Clock, HalfWith, Memory, Peer, Qubit, Referee

@dataclass(frozen=True)
class Hello:
    number: int

@dataclass(frozen=True)
class Bye:
    number: int

"""

GREETING = """
async def alice(half: Annotated[Qubit, HalfWith("bob")], bob: Peer, number: int = 1) -> int:
    await bob.send(Hello(number))
    return await half.measure()

async def bob(half: Annotated[Qubit, HalfWith("alice")], alice: Peer) -> list[int]:
    return [(await alice.receive(Hello)).number, await half.measure()]
"""

REFEREED = """
async def referee(oracle: Referee, alice: int, bob: list[int]) -> dict[str, float]:
    return {"agreement": alice == bob[1]}
"""


def test_its_roles_play_on_the_nodes_of_their_names(bellwire: Bellwire, program: Program) -> None:
    greeting = program(PRELUDE + GREETING)
    document = bellwire(
        *("run", greeting, "--lab", "alice-bob", "--rounds", 3, "--param", "number=42", "--json")
    ).document
    assert document["program"] == "mine"
    assert document["roles"] == {"alice": "alice", "bob": "bob"}
    assert len(document["results"]) == 3
    for returned in document["results"]:
        assert returned["bob"] == [42, returned["alice"]]


def test_its_roles_can_be_cast_on_a_lab_that_is_up(bellwire: Bellwire, program: Program) -> None:
    program(PRELUDE + GREETING + REFEREED)
    assert bellwire("up", "alice-charlie-bob", "-d").code == 0
    arguments = ("run", "mine.py", "--role", "alice=charlie", "--rounds", 20, "--json")
    first = bellwire(*arguments).document
    assert first["roles"] == {"alice": "charlie", "bob": "bob"}
    assert 0.5 < first["agreement_mean"] <= 1
    program("async def alice() -> int:\n    return 7\n")  # edited while the lab is up
    assert bellwire(*arguments).document["results"] == [{"alice": 7}] * 20
    assert bellwire("down").code == 0


WRONG = {
    "a syntax error": (2, "SyntaxError", "async def alice(:\n"),
    "an import that fails": (2, "ModuleNotFoundError", "import a_package_that_is_not_there\n"),
    "no role": (2, "defines no role", "def alice() -> None: ...\n"),
    "a partner who is not there": (
        2,
        "role 'alice' asks for 'bob', but there is no role 'bob'",
        "async def alice(bob: Peer) -> None: ...\n",
    ),
    "halves that do not match": (
        2,
        "'bob' takes 0 with 'alice'",
        """
async def alice(half: Annotated[Qubit, HalfWith("bob")]) -> None: ...
async def bob() -> None: ...
""",
    ),
    "an error in a role": (
        1,
        "at node 'bob': RuntimeError: the cat is dead (mine.py:17)",
        """
async def alice() -> None: ...
async def bob() -> None: raise RuntimeError("the cat is dead")
""",
    ),
    "an error in the referee": (
        1,
        "the program's referee failed: RuntimeError: the cat is dead (mine.py:17)",
        """
async def alice() -> None: ...
async def referee(oracle: Referee) -> dict[str, float]: raise RuntimeError("the cat is dead")
""",
    ),
    "an error without a message": (
        1,
        "at node 'alice': AssertionError (mine.py:15)",
        "async def alice() -> None: assert False\n",
    ),
    "an exit": (
        1,
        "at node 'alice': SystemExit: 0 (mine.py:15)",
        "async def alice() -> None: raise SystemExit(0)\n",
    ),
    "a message that never comes": (
        6,
        "at node 'alice': at 0 s everybody waits: alice for Hello from bob",
        """
async def alice(bob: Peer) -> None: await bob.receive(Hello)
async def bob() -> None: ...
""",
    ),
    "an unexpected message": (
        1,
        "at node 'alice': node 'bob' sent Bye where Hello was expected",
        """
async def alice(bob: Peer) -> None: await bob.receive(Hello)
async def bob(alice: Peer) -> None: await alice.send(Bye(1))
""",
    ),
    "a qubit that is gone": (
        1,
        "is not held here: it was measured, sent, discarded or handed over before",
        """
async def alice(memory: Memory) -> None:
    qubit = await memory.qubit()
    await qubit.measure()
    qubit.x()
""",
    ),
    "more qubits than memories": (
        9,
        "at node 'alice': ",
        """
async def alice(memory: Memory) -> None:
    for _ in range(9):
        await memory.qubit()
""",
    ),
    "a result that is no data": (
        1,
        "at node 'alice': a role returned a function; return numbers",
        "async def alice() -> object: return alice\n",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_reaches_the_terminal(bellwire: Bellwire, program: Program, case: str) -> None:
    code, message, text = WRONG[case]
    refused = bellwire("run", program(PRELUDE + text), "--lab", "alice-bob", "--deadline", "0.5")
    assert (refused.code, refused.out) == (code, ""), refused.err
    assert message in refused.err
    assert "Traceback" not in refused.err
