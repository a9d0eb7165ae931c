"""What cannot be done is refused: a sentence on stderr, nothing on stdout, the exit code of its kind, nothing left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.registry import Registry

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire

pytestmark = pytest.mark.processes

ON = ("--lab", "alice-bob")
REFUSED = {
    "an unknown verb": (2, ["entagle"], "No such command 'entagle'"),
    "an unknown option": (2, ["run", "teleport", "--fast"], "No such option"),
    "no rounds": (2, ["run", "teleport", *ON, "--rounds", "0"], "'--rounds'"),
    "a role without a node": (2, ["run", "teleport", *ON, "--role", "alice"], "--role takes NAME=VALUE, not 'alice'"),
    "a role given twice": (2, ["run", "teleport", "--role", "a=b", "--role", "a=c"], "--role a is given twice"),
    "a role that the program lacks": (2, ["run", "teleport", *ON, "--role", "eve=bob"], "no role 'eve'; its roles:"),
    "a node in two roles": (2, ["run", "teleport", *ON, "--role", "alice=bob"], "cannot play both"),
    "a parameter that it lacks": (2, ["run", "teleport", *ON, "--param", "p=1"], "no parameter 'p'; it takes none"),
    "a parameter of another type": (2, ["run", "qkd", *ON, "--param", "pulses=many"], "of type int, not 'many'"),
    "a file and a running lab": (2, ["run", "teleport", *ON, "-l", "x"], "either --lab FILE or -l NAME"),
    "a seed for a running lab": (2, ["run", "teleport", "--seed", "1"], "--seed goes with --lab"),
    "too few rounds": (2, ["bench", "--rounds", "1"], "'--rounds'"),
    "an unknown program": (4, ["run", "telport", *ON], "did you mean 'teleport'?"),
    "a program file that is not there": (4, ["run", "./gone.py", *ON], "there is no program file"),
    "an unknown node": (4, ["entangle", "alice", "bobb", *ON], "unknown node 'bobb'; did you mean 'bob'?"),
    "a role that nobody plays": (
        4,
        ["run", "swap", *ON],
        "nobody plays charlie: the lab has no nodes of these names; add --role charlie=NODE",
    ),
    "an unknown lab": (4, ["run", "teleport", "--lab", "alice-bbo"], "alice-bob"),
    "an unknown tap": (4, ["qkd", "alice", "bob", *ON, "--tap", "eve"], "unknown tap 'eve'"),
    "a file that cannot be read": (4, ["send", "alice", "bob", "gone", *ON], "cannot read gone: No such file"),
    "no lab up": (4, ["ps"], "no lab is up; start one with 'bellwire up LAB -d'"),
    "no such lab up": (4, ["down", "metro"], "no lab"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_says_what_is_wrong_and_exits_with_the_code_of_its_kind(bellwire: Bellwire, case: str) -> None:
    code, arguments, message = REFUSED[case]
    refused = bellwire(*arguments)
    assert (refused.code, refused.out) == (code, ""), refused.err
    assert message in refused.err
    assert "Traceback" not in refused.err


def test_every_mistake_in_a_lab_file_is_listed_with_its_place(bellwire: Bellwire, tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(
        "name: lab\nnodes: {alice: {memories: {t1: 1 s, t2: 3 s}}, bob: }\nlinks:\n"
        "  - {endpoints: [alice, bob], length: 20}\n  - {endpoints: [alice, bobb], lenght: 1 km}\n"
    )
    for refused in (
        bellwire("validate", "lab.yaml"),
        bellwire("up", "lab.yaml"),
        bellwire("run", "teleport", "--lab", "lab.yaml"),
    ):
        assert (refused.code, refused.out) == (3, "")
        lines = refused.err.splitlines()
        for place in ("lab.yaml:2:41: ", "lab.yaml:4:39: ", "lab.yaml:5:25: ", "lab.yaml:5:32: "):
            assert any(place in line for line in lines), refused.err
        assert "did you mean 'length'?" in refused.err
        assert "Traceback" not in refused.err


def test_a_control_plane_that_does_not_answer_is_code_8(bellwire: Bellwire) -> None:
    with Registry(bellwire.home).claim("mute"):
        for arguments in (["ps", "mute"], ["run", "teleport", "-l", "mute"]):
            refused = bellwire(*arguments)
            assert (refused.code, refused.out) == (8, ""), refused.err
            assert "control plane" in refused.err


def test_the_folder_of_a_file_to_arrive_must_be_there(bellwire: Bellwire, tmp_path: Path) -> None:
    (tmp_path / "letter").write_bytes(b"Dear Bob")
    refused = bellwire("send", "alice", "bob", "letter", "--out", tmp_path / "no" / "letter", *ON)
    assert (refused.code, refused.out) == (4, "")
    assert f"there is no folder {tmp_path / 'no'}; make it first" in refused.err


def test_a_home_that_others_can_enter_is_refused(bellwire: Bellwire) -> None:
    bellwire.home.chmod(0o755)
    refused = bellwire("ls")
    assert (refused.code, refused.out) == (1, "")
    assert "does not belong to this user alone" in refused.err
    bellwire.home.chmod(0o700)
