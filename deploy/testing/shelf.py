"""The labs that are up for the tests of one scope: those that want the same lab share it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from deploy.testing.mark import Wanted
from deploy.testing.standing import StandingLab

Keep = Literal["failed", "always", "never"]
_KEPT: Final = frozenset({"logs", "record.jsonl", "lab.yaml"})
"""What is worth reading afterwards. Certificates, passwords and keys go with the lab."""


@dataclass(slots=True)
class Shelved:
    """A lab on the shelf. ``failed`` names the tests that used it and have failed; ``spoilt``: no other may have it."""

    lab: StandingLab
    failed: set[str] = field(default_factory=set)
    spoilt: bool = False


class Shelf:
    """Labs by what was wanted. ``keep`` says whose logs and record stay; ``kept`` hears where."""

    def __init__(self, keep: Keep, kept: Callable[[str], None]) -> None:
        self._keep = keep
        self._kept = kept
        self._labs: dict[Wanted, Shelved] = {}

    def take(self, wanted: Wanted, bring_up: Callable[[], StandingLab]) -> Shelved:
        """Return the lab that is wanted; bring one up when there is none, or none that can be used any more."""
        there = self._labs.get(wanted)
        if there is not None and there.spoilt:
            self._close(self._labs.pop(wanted))
            there = None
        if there is None:
            there = self._labs[wanted] = Shelved(bring_up())
        return there

    def clear(self) -> None:
        """Take all labs down; one that does not go keeps no other."""
        with ExitStack() as closing:
            while self._labs:
                closing.callback(self._close, self._labs.popitem()[1])

    def _close(self, shelved: Shelved) -> None:
        try:
            shelved.lab.close()
        finally:
            if shelved.lab.own_files is not None:
                self.put_away(shelved.lab.own_files, shelved.failed)

    def put_away(self, directory: Path, failed: Collection[str]) -> None:
        """Keep of a lab that is down what is worth reading, or nothing; ``failed`` are the tests that are to blame."""
        if self._keep == "never" or (self._keep == "failed" and not failed):
            shutil.rmtree(directory, ignore_errors=True)
            return
        for each in directory.iterdir():
            if each.name in _KEPT:
                continue
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink()
        blame = f" of {', '.join(sorted(failed))}" if failed else ""
        self._kept(f"logs and record{blame}: {directory}")
