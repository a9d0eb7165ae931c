"""Program files: what is read from their roles, and what is said of one that cannot be run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nodes.errors import ProgramInvalid
from nodes.runtime.programs import PROGRAMS, load, parse_parameters

HEADER = """
from __future__ import annotations
from typing import Annotated
from nodes.ports import *
"""

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a program file and return its path."""

    def written(body: str) -> str:
        path = tmp_path / "mine.py"
        path.write_text(HEADER + body)
        return str(path)

    return written


def test_a_program_is_its_roles_and_what_they_ask_for(write: Write) -> None:
    program = load(
        write("""
async def alice(half: Annotated[Qubit, HalfWith("bob")], bob: Peer, bob_link: QuantumLink, shots: int = 3): ...
async def bob(half: Annotated[Qubit, HalfWith("alice")], psi: Annotated[Qubit, Unknown()], coin: Coin,
              clock: Clock, memory: Memory, alice_secret: SharedSecret): ...
async def referee(oracle: Referee): ...
async def _inner(): ...
def summarise(rounds): ...
""")
    )
    assert list(program.roles) == ["alice", "bob"]
    assert [need.kind for need in program.roles["alice"].needs] == ["half", "peer", "link", "parameter"]
    assert [need.kind for need in program.roles["bob"].needs] == [
        "half",
        "unknown",
        "coin",
        "clock",
        "memory",
        "secret",
    ]
    assert program.referee is not None
    assert program.summarise is not None


@pytest.mark.parametrize(("exported", "roles"), [(True, ["alice", "bob"]), (False, [])])
def test_a_role_that_is_imported_counts_where_the_file_exports_it(
    write: Write, exported: bool, roles: list[str]
) -> None:
    body = "from nodes.apps.pauli_trial import alice, bob\nasync def carol(): ...\n"
    program = load(write(body + ('__all__ = ["alice", "bob", "carol"]\n' if exported else "")))
    assert list(program.roles) == [*roles, "carol"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x = 1", "defines no role"),
        ("async def alice(bob: Peer): ...", "no role 'bob'"),
        ("async def alice(q: Qubit): ...", "say which qubit"),
        ("async def alice(link: QuantumLink): ...", "'bob_link', not 'link'"),
        ("async def alice(key: SharedSecret): ...", "'bob_secret', not 'key'"),
        ("async def alice(shots: int): ...", "a parameter needs a default, such as 'shots: int = 1'"),
        ("async def alice(whatever): ...", "cannot tell what 'whatever' is to be"),
        ("async def alice(bob: Per): ...", "an annotation cannot be read"),
        ("def broken(:", "cannot be imported: SyntaxError"),
        ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("raise RuntimeError('no')", "cannot be imported: RuntimeError: no"),
        (
            """
async def alice(a: Annotated[Qubit, HalfWith("bob")], b: Annotated[Qubit, HalfWith("bob")]): ...
async def bob(a: Annotated[Qubit, HalfWith("alice")]): ...
""",
            "'alice' takes 2 halves of pairs with 'bob', but 'bob' takes 1",
        ),
    ],
)
def test_a_program_that_cannot_be_run_is_refused_with_what_to_write(
    write: Write, body: str, message: str
) -> None:
    with pytest.raises(ProgramInvalid) as refusal:
        load(write(body))
    assert message in str(refusal.value)


def test_a_missing_file_and_an_unknown_name_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ProgramInvalid, match="there is no program file"):
        load(str(tmp_path / "none.py"))
    with pytest.raises(ProgramInvalid, match="there is no program 'none'; there are: teleport"):
        load("none")


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_that_comes_with_bellwire_loads(name: str) -> None:
    assert load(name).roles


def test_parameters_take_the_types_of_their_annotations(write: Write) -> None:
    program = load(write("async def alice(n: int = 1, x: float = 1.0, s: str = '', b: bool = False): ..."))
    given = parse_parameters(program, {"n": "7", "x": "2.5", "s": "7", "b": "yes"})
    assert given == {"n": 7, "x": 2.5, "s": "7", "b": True}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"m": "7"}, "no parameter 'm'; it takes: n, b"),
        ({"n": "seven"}, "'n' is of type int, not 'seven'"),
        ({"b": "maybe"}, "'b' is true or false, not 'maybe'"),
    ],
)
def test_a_wrong_parameter_is_named(write: Write, given: dict[str, str], message: str) -> None:
    program = load(write("async def alice(n: int = 1, b: bool = False): ..."))
    with pytest.raises(ProgramInvalid, match=message):
        parse_parameters(program, given)
