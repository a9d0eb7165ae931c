"""Where running labs are found: one directory each, below one that only this user can enter.

A lab is alive exactly as long as its supervisor holds the lock of its directory, so a directory left by a crash is
recognised, whatever process has its pid by now.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from deploy.errors import DeployError, NotFound, UsageError


@dataclass(frozen=True, slots=True)
class LabRecord:
    """What a running lab says of itself: its name, its file, its supervisor's process, its clock and broker."""

    name: str
    file: str
    pid: int
    clock: str
    nodes: list[str]
    started: str


@dataclass(frozen=True, slots=True)
class LabDirectory:
    """The directory of one lab that was brought up by name."""

    path: Path

    @property
    def name(self) -> str:
        """Return the lab's name."""
        return self.path.name

    @property
    def socket(self) -> Path:
        """Return where its control plane listens."""
        return self.path / "control.sock"

    @property
    def logs(self) -> Path:
        """Return where its processes write their logs."""
        return self.path / "logs"

    def alive(self) -> bool:
        """Tell whether a supervisor holds this lab."""
        try:
            with (self.path / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def wait_released(self) -> None:
        """Wait, blocking, until no supervisor holds this lab."""
        with suppress(FileNotFoundError), (self.path / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)

    def write(self, record: LabRecord) -> None:
        """Write the lab's record, whole or not at all."""
        draft = self.path / "lab.json.draft"
        draft.write_text(json.dumps(asdict(record)))
        draft.replace(self.path / "lab.json")

    def read(self) -> LabRecord:
        """Read the lab's record; raise ``NotFound`` while it has none."""
        try:
            return LabRecord(**json.loads((self.path / "lab.json").read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise NotFound(f"lab '{self.name}' is not up yet: {error}") from error


class Registry:
    """All labs of this user on this machine.

    They live below ``base``: ``$BELLWIRE_HOME``, or a directory of this user's in the system's temporary one.
    """

    def __init__(self, base: Path | None = None) -> None:
        home = os.environ.get("BELLWIRE_HOME")
        self._base = base or (Path(home) if home else Path(tempfile.gettempdir()) / f"bellwire-{os.getuid()}")
        _make_private(self._base)

    def running(self) -> list[LabDirectory]:
        """List the labs that are up, by name; remove what crashed ones left."""
        found = []
        for path in sorted((self._base / "labs").glob("*")):
            directory = LabDirectory(path)
            if directory.alive():
                found.append(directory)
            else:
                shutil.rmtree(path, ignore_errors=True)
        return found

    def find(self, name: str | None) -> LabDirectory:
        """Return the running lab ``name``, or the only one; raise ``NotFound``."""
        running = {directory.name: directory for directory in self.running()}
        if name is not None and name not in running and (words := self._last_words(name)).is_file():
            raise NotFound(f"lab '{name}' is not up any more: {words.read_text()}")
        if name is None and len(running) == 1:
            return next(iter(running.values()))
        if not running:
            raise NotFound("no lab is up; start one with 'bellwire up LAB -d', or name a lab file with --lab")
        if name is None:
            raise UsageError(f"several labs are up, say which: {', '.join(running)}")
        if name not in running:
            raise NotFound(f"no lab '{name}' is up; there are: {', '.join(running)}")
        return running[name]

    def write_last_words(self, name: str, text: str) -> None:
        """Keep why a lab in the background failed, for whoever asks for it next."""
        self._last_words(name).write_text(text)

    def _last_words(self, name: str) -> Path:
        return self._base / f"{name}.last-words"

    @contextmanager
    def claim(self, name: str) -> Iterator[LabDirectory]:
        """Hold the directory of lab ``name`` inside the block, and remove it afterwards.

        Raise ``UsageError`` when the lab is up already.
        """
        path = self._base / "labs" / name
        with _locked(path):
            self._last_words(name).unlink(missing_ok=True)
            try:
                yield LabDirectory(path)
            finally:
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a lab that lives as long as one command a directory of its own inside the block."""
        with tempfile.TemporaryDirectory(prefix="run-", dir=self._base, ignore_cleanup_errors=True) as path:
            yield Path(path)


def _locked(path: Path) -> IO[str]:
    """Make a lab's directory and lock it; return the file that holds the lock. Raise ``UsageError`` when it is held.

    Who lists labs locks each for a moment, too, and removes a directory that nobody holds, perhaps just before it is
    locked here: neither may pass for a supervisor, or leave this one with a lock that nobody can find.
    """
    while True:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as opened, suppress(FileNotFoundError):
            lock = opened.enter_context((path / "lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not LabDirectory(path).alive():
                    continue
                advice = f"'bellwire down {path.name}' ends it"
                raise UsageError(f"lab '{path.name}' is up already; {advice}") from None
            if os.path.samestat(os.fstat(lock.fileno()), (path / "lock").stat()):
                opened.pop_all()
                return lock


def _make_private(base: Path) -> None:
    """Make the directory for this user alone; refuse one that somebody else could have prepared."""
    with suppress(FileExistsError):
        base.mkdir(mode=0o700, parents=True)
    status = base.stat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise DeployError(
            f"{base} does not belong to this user alone; remove it, or set BELLWIRE_HOME to a directory of mode 700"
        )
