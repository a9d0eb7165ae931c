"""Every name a file can have, and every place where it can go or come from."""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nodes.apps.atomic_file import AtomicFile
from nodes.apps.file_transfer import TransferReport
from nodes.errors import TransferFailed

Transfer = Callable[..., Awaitable[tuple[Any, Any]]]

LATIN_1 = os.fsdecode(b"caf\xe9.txt")
"""A name that is not UTF-8, as Python holds it: with a lone surrogate."""


def put(path: Path, written: bytes) -> None:
    path.write_bytes(written)


def got(path: Path) -> bytes:
    return path.read_bytes()


def link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def is_link(path: Path) -> bool:
    return path.is_symlink()


def nothing_was_left(destination: Path) -> bool:
    return list(destination.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
    ],
)
async def test_a_source_that_cannot_be_read_is_told_to_both(
    transfer: Transfer, tmp_path: Path, destination: Path, make: Callable[[Path], object], reason: str
) -> None:
    make(tmp_path / "odd")
    sent, received = await transfer(tmp_path / "odd", destination)
    assert isinstance(sent, TransferFailed)
    assert reason in str(sent)
    assert isinstance(received, TransferFailed)
    assert str(sent) in str(received)
    assert nothing_was_left(destination)


@pytest.mark.parametrize(
    ("place", "reason"), [("missing/file", "there is no folder"), (".", "is a folder; name the file")]
)
async def test_a_destination_that_cannot_be_written_is_told_to_both(
    transfer: Transfer, source: Path, destination: Path, place: str, reason: str
) -> None:
    sent, received = await transfer(source, destination.parent / place)
    assert isinstance(received, TransferFailed)
    assert reason in str(received)
    assert isinstance(sent, TransferFailed)
    assert str(received) in str(sent)


async def test_a_full_disk_is_told_to_both(
    transfer: Transfer, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: AtomicFile, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AtomicFile, "write", full)
    sent, received = await transfer(source, destination)
    assert "No space left" in str(received)
    assert isinstance(sent, TransferFailed)
    assert "No space left" in str(sent)
    assert nothing_was_left(destination)


async def test_a_name_that_is_not_utf8_arrives_with_an_escape(
    transfer: Transfer, tmp_path: Path, destination: Path
) -> None:
    put(tmp_path / LATIN_1, b"hello")
    sent, received = await transfer(tmp_path / LATIN_1, destination.parent / LATIN_1)
    assert isinstance(sent, TransferReport)
    assert sent == received
    assert sent.name == r"caf\udce9.txt"
    assert got(destination.parent / LATIN_1) == b"hello"


async def test_an_error_about_a_name_that_is_not_utf8_is_told_to_both(
    transfer: Transfer, source: Path, tmp_path: Path
) -> None:
    for origin, place in ((tmp_path / LATIN_1, tmp_path / "copy"), (source, tmp_path / LATIN_1 / "copy")):
        outcomes = await transfer(origin, place)
        for outcome in outcomes:
            assert isinstance(outcome, TransferFailed)
            assert r"caf\udce9.txt" in str(outcome)


@pytest.mark.parametrize("party", ["sender", "receiver"])
async def test_an_error_that_nobody_expects_is_told_to_the_other_by_its_kind(
    transfer: Transfer, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch, party: str
) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("of 17 secrets")

    told: list[str] = []

    def listen(sender: str, number: int, message: Any) -> Sequence[object]:
        if message.kind == "Withdrawal":
            told.append(message.body.decode(errors="replace"))
        return [message]

    failing = (
        "nodes.apps.file_transfer._opened" if party == "sender" else "nodes.apps.atomic_file.AtomicFile.write"
    )
    monkeypatch.setattr(failing, fail)
    with pytest.raises(ExceptionGroup) as failures:
        await transfer(source, destination, listen)
    assert failures.group_contains(ZeroDivisionError)
    assert len(told) == 1
    assert "its program failed (ZeroDivisionError)" in told[0]
    assert "secrets" not in told[0]
    assert nothing_was_left(destination)


async def test_a_symbolic_link_stays_and_what_it_leads_to_is_replaced(
    transfer: Transfer, source: Path, destination: Path, tmp_path: Path
) -> None:
    for target in (tmp_path / "old", tmp_path / "not yet there"):
        link(tmp_path / f"link to {target.name}", target)
    put(tmp_path / "old", b"old")
    for name in ("old", "not yet there"):
        await transfer(source, tmp_path / f"link to {name}")
        assert is_link(tmp_path / f"link to {name}")
        assert got(tmp_path / name) == got(source)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: os.mkfifo(path), "no ordinary file"),
        (lambda path: path.symlink_to("/dev/null"), "/dev/null is no ordinary file"),
        (lambda path: path.symlink_to(path), "in a circle"),
        (lambda path: path.symlink_to(path.parent), "is a folder"),
    ],
)
async def test_what_is_not_an_ordinary_file_is_not_replaced(
    transfer: Transfer, source: Path, destination: Path, make: Callable[[Path], object], reason: str
) -> None:
    make(destination)
    before = stat.S_IFMT(os.lstat(destination).st_mode)
    sent, received = await transfer(source, destination)
    assert isinstance(received, TransferFailed)
    assert reason in str(received)
    assert isinstance(sent, TransferFailed)
    assert str(received) in str(sent)
    assert stat.S_IFMT(os.lstat(destination).st_mode) == before
