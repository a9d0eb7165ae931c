"""Running labs are found by the locks that their supervisors hold."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.errors import DeployError, NotFound, UsageError
from deploy.registry import LabRecord, Registry

RECORD = LabRecord("metro", "metro.yaml", 42, "virtual", ["alice"], "today")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A registry of its own."""
    return Registry(tmp_path / "home")


@pytest.fixture
def up(registry: Registry) -> Iterator[ExitStack]:
    """Holds labs until the end of the test."""
    with ExitStack() as stack:
        yield stack


def names(registry: Registry) -> list[str]:
    """Return the names of the labs that are up."""
    return [directory.name for directory in registry.running()]


def test_a_lab_is_up_exactly_as_long_as_it_is_claimed(registry: Registry) -> None:
    assert names(registry) == []
    with registry.claim("metro") as directory:
        assert names(registry) == ["metro"]
    assert names(registry) == []
    assert not directory.path.exists()


def test_a_lab_is_up_once(registry: Registry, up: ExitStack) -> None:
    up.enter_context(registry.claim("metro"))
    with pytest.raises(UsageError, match="lab 'metro' is up already; 'bellwire down metro' ends it"):
        up.enter_context(registry.claim("metro"))
    assert names(registry) == ["metro"]


def test_what_a_crashed_supervisor_left_is_removed_and_can_be_claimed_again(
    registry: Registry, tmp_path: Path, up: ExitStack
) -> None:
    crashed = tmp_path / "home" / "labs" / "metro"
    crashed.mkdir(parents=True)
    (crashed / "lock").touch()
    (crashed / "lab.json").write_text("{}")
    with registry.claim("metro"):
        assert names(registry) == ["metro"]
    crashed.mkdir()
    (crashed / "lock").touch()
    assert names(registry) == []
    assert not crashed.exists()


def test_who_claims_what_a_crash_has_left_finds_nothing_of_it(registry: Registry) -> None:
    with registry.claim("metro") as directory:
        left = directory.path
    (left / "nodes" / "alice").mkdir(parents=True)
    (left / "nodes" / "alice" / "store.sqlite").write_text("keys under a key that nobody has")
    (left / "events.jsonl").write_text("{}")
    with registry.claim("metro"):
        assert [path.name for path in left.iterdir()] == ["lock"]


def test_claims_and_listings_at_once_lose_no_lab_and_make_none_up(registry: Registry) -> None:
    seen: list[list[str]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.append(names(registry))

    onlookers = [threading.Thread(target=look) for _ in range(3)]
    for onlooker in onlookers:
        onlooker.start()
    try:
        for _ in range(200):
            with registry.claim("metro") as directory:
                assert directory.path.is_dir()
                assert names(registry) == ["metro"]
                with pytest.raises(UsageError, match="is up already"), registry.claim("metro"):
                    pass
    finally:
        stop.set()
        for onlooker in onlookers:
            onlooker.join()
    assert {tuple(found) for found in seen} <= {(), ("metro",)}
    assert names(registry) == []


def test_what_a_killed_command_left_goes_with_the_next_one(registry: Registry, tmp_path: Path) -> None:
    left = tmp_path / "home" / "runs" / "dead"
    left.mkdir(parents=True)
    (left / "lock").touch()
    with registry.scratch() as alive, registry.scratch():
        assert alive.is_dir()
    assert not left.exists()


def test_a_lab_without_a_name_is_the_only_one(registry: Registry, up: ExitStack) -> None:
    with pytest.raises(NotFound, match="no lab is up; start one"):
        registry.find(None)
    metro = up.enter_context(registry.claim("metro"))
    assert registry.find(None) == registry.find("metro") == metro
    with pytest.raises(NotFound, match="no lab 'hello' is up; there are: metro"):
        registry.find("hello")
    up.enter_context(registry.claim("hello"))
    with pytest.raises(UsageError, match=r"several labs are up, name one .*: hello, metro"):
        registry.find(None)


def test_a_record_is_read_as_it_was_written(registry: Registry, up: ExitStack) -> None:
    directory = up.enter_context(registry.claim("metro"))
    with pytest.raises(NotFound, match="lab 'metro' is not up yet"):
        directory.read()
    directory.write(RECORD)
    assert directory.read() == RECORD


def test_last_words_are_told_until_the_lab_is_up_again(registry: Registry) -> None:
    registry.write_last_words("metro", "process 'state' was ended by signal 9")
    with pytest.raises(NotFound, match="lab 'metro' is not up any more: process 'state' was ended"):
        registry.find("metro")
    with registry.claim("metro"):
        assert registry.find("metro").name == "metro"
    with pytest.raises(NotFound, match="no lab is up"):
        registry.find("metro")


async def test_who_waits_for_a_lab_to_end_is_woken_when_it_has(registry: Registry) -> None:
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        with registry.claim("metro") as directory:
            waiting = group.create_task(directory.released())
            await asyncio.wait([waiting], timeout=0.05)
            assert not waiting.done()


def test_a_scratch_directory_is_private_and_goes_with_its_block(registry: Registry) -> None:
    with registry.scratch() as path, registry.scratch() as other:
        assert path != other
        assert path.stat().st_mode & 0o077 == 0
        (path / "file").touch()
    assert not path.exists()


def test_a_base_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    with pytest.raises(DeployError, match=r"does not belong to this user alone; make it so \(chmod 700"):
        Registry(tmp_path)


def test_the_base_is_made_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWIRE_HOME", str(tmp_path / "deep" / "home"))
    old = os.umask(0)
    try:
        Registry()
    finally:
        os.umask(old)
    assert (tmp_path / "deep" / "home").stat().st_mode & 0o777 == 0o700
