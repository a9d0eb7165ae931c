"""A lab file is found, read as text within limits, and named in what is said about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.errors import LabFileInvalid, LabNotFound
from deploy.topology import MAX_BYTES, Lab, find, load, shipped

ReadLab = Callable[[str], Lab]
ReadProblems = Callable[[str], list[str]]


def test_a_problem_names_the_file_as_the_user_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("metro.yaml").write_text("nodes: 3\n")
    with pytest.raises(LabFileInvalid) as caught:
        load(Path("metro.yaml"))
    assert str(caught.value) == "metro.yaml:1:8: nodes: not a mapping; write nodes: {alice: , bob: }"
    assert caught.value.exit_code == 3


def test_a_file_whose_name_cannot_name_a_lab_is_asked_for_a_name(tmp_path: Path) -> None:
    file = tmp_path / "my lab.v2.yaml"
    file.write_text("nodes: {a: }")
    with pytest.raises(LabFileInvalid, match=r"1:1: the lab has no name, .*; write name: my-lab-v2$"):
        load(file)


def test_a_file_that_is_not_there_is_a_problem_of_the_file_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(
        LabFileInvalid, match=r"gone\.yaml: cannot be read \(No such file or directory\); give"
    ):
        load(tmp_path / "gone.yaml")
    with pytest.raises(LabFileInvalid, match=r"cannot be read \(Is a directory\)"):
        load(tmp_path)
    with pytest.raises(LabFileInvalid, match=r"cannot be read .*null byte"):
        load(Path("a\0b"))


def test_a_file_that_is_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(LabFileInvalid, match="larger than 1048576 bytes"):
        load(file)
    file.write_bytes(b"nodes:\n  a\xff: \n")
    with pytest.raises(LabFileInvalid, match=r":2:4: not text in UTF-8; save the file in that encoding"):
        load(file)


def test_a_byte_order_mark_is_ignored(read: ReadLab) -> None:
    assert list(read("\ufeffnodes: {a: }").nodes) == ["a"]


def test_aliases_that_multiply_are_refused_before_they_take_memory(problems: ReadProblems) -> None:
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(30)
    )
    assert "more than 100000 values with all aliases written out" in problems(bomb)[0]


def test_a_lab_is_found_by_its_path_and_by_the_name_it_ships_under(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.touch()
    assert find(str(file)) == file
    assert find("alice-bob") == shipped()["alice-bob"]
    with pytest.raises(LabNotFound, match=r"unknown lab 'alice-bo'; did you mean 'alice-bob'?"):
        find("alice-bo")


def test_a_file_in_the_working_directory_comes_before_a_shipped_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("alice-bob").touch()
    assert find("alice-bob") == Path("alice-bob")
