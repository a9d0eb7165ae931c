"""Labs are shared by those who want the same; what is kept of one that is down is what may be read by anybody."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from deploy.laboratory import ProcessStatus
from deploy.testing.mark import Wanted
from deploy.testing.shelf import Keep, Shelf
from deploy.testing.standing import StandingLab


class ALab(StandingLab):
    """A lab that is nothing but its directory."""

    def __init__(self, directory: Path) -> None:
        (directory / "logs").mkdir(parents=True)
        (directory / "keys").mkdir()
        for name in ("record.jsonl", "lab.yaml", "controller.json", "logs/alice.log", "keys/north.sqlite"):
            (directory / name).write_text(name)
        self.directory = self.own_files = directory
        self.up, self.stubborn = True, False

    async def status(self) -> list[ProcessStatus]:
        return []

    async def unless_failed(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    async def kill_server(self, name: str) -> None:
        return None

    def close(self) -> None:
        self.up = False
        if self.stubborn:
            raise RuntimeError("it does not go down")


WANTED = Wanted("pair.yaml", Path("/tests"))


def test_who_wants_the_same_gets_the_same_until_it_is_spoilt(tmp_path: Path) -> None:
    shelf = Shelf("never", print)
    first = shelf.take(WANTED, lambda: ALab(tmp_path / "1"))
    assert shelf.take(Wanted("pair.yaml", Path("/tests")), lambda: ALab(tmp_path / "2")) is first
    other = shelf.take(Wanted("pair.yaml", Path("/tests"), seed=7), lambda: ALab(tmp_path / "3"))
    assert other is not first
    first.spoilt = True
    second = shelf.take(WANTED, lambda: ALab(tmp_path / "4"))
    assert second is not first
    assert not (tmp_path / "1").exists()
    shelf.clear()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("keep", "failed", "stays"),
    [
        ("failed", set(), False),
        ("failed", {"test_it"}, True),
        ("always", set(), True),
        ("never", {"test_it"}, False),
    ],
)
def test_logs_and_record_stay_as_wanted_and_no_key_or_password_ever(
    tmp_path: Path, keep: Keep, failed: set[str], stays: bool
) -> None:
    told: list[str] = []
    shelf = Shelf(keep, told.append)
    shelf.take(WANTED, lambda: ALab(tmp_path / "1")).failed |= failed
    shelf.clear()
    left = sorted(str(path.relative_to(tmp_path / "1")) for path in (tmp_path / "1").rglob("*"))
    assert left == (["lab.yaml", "logs", "logs/alice.log", "record.jsonl"] if stays else [])
    assert told == ([f"logs and record{' of test_it' if failed else ''}: {tmp_path / '1'}"] if stays else [])


def test_a_lab_that_does_not_go_down_is_told_and_keeps_no_other(tmp_path: Path) -> None:
    shelf = Shelf("never", print)
    labs = [ALab(tmp_path / str(number)) for number in range(3)]
    labs[1].stubborn = True
    for number, lab in enumerate(labs):
        shelf.take(Wanted("pair.yaml", Path("/tests"), seed=number), lambda lab=lab: lab)  # type: ignore[misc]
    with pytest.raises(RuntimeError, match="it does not go down"):
        shelf.clear()
    assert not any(lab.up for lab in labs)
    assert list(tmp_path.iterdir()) == []
