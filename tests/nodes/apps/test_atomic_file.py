"""A file appears complete or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodes.apps.atomic_file import AtomicFile


@pytest.fixture(params=["nameless", "hidden name"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of keeping an unfinished file out of sight."""
    if request.param == "hidden name":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no O_TMPFILE")
    return str(request.param)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_committed_file_is_there_and_nothing_else(way: str, tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "new") as file:
        file.write(b"one ")
        assert not (tmp_path / "new").exists()
        file.write(b"two")
        file.commit()
    assert (tmp_path / "new").read_bytes() == b"one two"
    assert names(tmp_path) == ["new"]


def test_an_existing_file_is_replaced_as_a_whole(way: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"a much longer content")
    with AtomicFile(tmp_path / "old") as file:
        file.write(b"short")
        assert (tmp_path / "old").read_bytes() == b"a much longer content"
        file.commit()
    assert (tmp_path / "old").read_bytes() == b"short"
    assert names(tmp_path) == ["old"]


def test_without_a_commit_nothing_is_left(way: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    with AtomicFile(tmp_path / "old") as file:
        file.write(b"new")
    assert (tmp_path / "old").read_bytes() == b"old"
    assert names(tmp_path) == ["old"]


def test_while_it_is_written_a_nameless_file_is_not_in_the_folder(tmp_path: Path) -> None:
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no O_TMPFILE")
    with AtomicFile(tmp_path / "new") as file:
        file.write(b"x" * 100_000)
        assert names(tmp_path) == []


def test_a_new_file_has_the_permissions_of_the_umask(way: str, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with AtomicFile(tmp_path / "new") as file:
        file.commit()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        AtomicFile(tmp_path / "missing" / "file")


def test_no_descriptor_is_left_open(way: str, tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("this system does not list a process' descriptors")
    before = len(list(descriptors.iterdir()))
    for commit in (True, False):
        with AtomicFile(tmp_path / "file") as file:
            if commit:
                file.commit()
    assert len(list(descriptors.iterdir())) == before


WRITER = """
import sys
from pathlib import Path
from nodes.apps.atomic_file import AtomicFile

with AtomicFile(Path(sys.argv[1])) as file:
    file.write(b"half of it")
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.mark.processes
def test_a_killed_writer_leaves_nothing(tmp_path: Path) -> None:
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no O_TMPFILE")
    (tmp_path / "old").write_bytes(b"old")
    command = [sys.executable, "-c", WRITER, str(tmp_path / "old")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.kill()
    assert (tmp_path / "old").read_bytes() == b"old"
    assert names(tmp_path) == ["old"]
