"""Where running labs are found: one directory each, below one that only this user can enter.

A lab is alive exactly as long as its supervisor holds the lock of its directory, so a directory left by a crash is
recognised, whatever process has its pid by now.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from threading import Thread
from typing import IO

from deploy.control_address import LAB_VARIABLE, OperatorDocument, document_at
from deploy.errors import DeployError, NotFound, UsageError
from deploy.whole_files import write_whole
from nodes.runtime.join_documents import home


@dataclass(frozen=True, slots=True)
class LabRecord:
    """What a running lab says of itself: its name, its file, its supervisor's process, its clock and nodes."""

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

    async def released(self) -> None:
        """Wait until no supervisor holds this lab."""
        loop, released = asyncio.get_running_loop(), asyncio.Event()

        def wait() -> None:
            with suppress(FileNotFoundError), (self.path / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH)
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(released.set)

        # A thread of an executor would keep a command alive that has given up waiting.
        Thread(target=wait, daemon=True).start()
        await released.wait()

    def write(self, record: LabRecord) -> None:
        """Write the lab's record, whole or not at all."""
        write_whole(self.path / "lab.json", json.dumps(asdict(record)), mode=0o666)

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
        self._base = base or home()
        _make_private(self._base)

    def running(self) -> list[LabDirectory]:
        """List the labs that are up or coming up, by name; remove what crashed ones left."""
        with self._undisturbed():
            return [LabDirectory(path) for path in self._living("labs")]

    def find(self, name: str | None) -> LabDirectory | OperatorDocument:
        """Return the running lab ``name``, or the only one, or the one of an operator's document; raise ``NotFound``.

        ``name`` may be the path of such a document, and ``$BELLWIRE_LAB`` stands in for it.
        """
        return document_at(name) or self.here(name or os.environ.get(LAB_VARIABLE))

    def here(self, name: str | None) -> LabDirectory:
        """Return the running lab ``name`` of this host, or the only one; raise ``NotFound``, ``UsageError``."""
        if (elsewhere := document_at(name)) is not None:
            raise UsageError(f"lab '{elsewhere.name}' is on other hosts, and its files are there")
        running = {directory.name: directory for directory in self.running()}
        if name is not None and name not in running and (words := self._last_words(name)).is_file():
            raise NotFound(f"lab '{name}' is not up any more: {words.read_text()}")
        if name is None and len(running) == 1:
            return next(iter(running.values()))
        if not running:
            ended = "".join(f"\n{lab} ended: {words}" for lab, words in self.last_words().items())
            raise NotFound(f"no lab is up; start one with 'bellwire up LAB -d'{ended}")
        if name is None:
            raise UsageError(
                f"several labs are up, name one (run, qkd, send, logs: -l NAME): {', '.join(running)}"
            )
        if name not in running:
            raise NotFound(f"no lab '{name}' is up; there are: {', '.join(running)}")
        return running[name]

    def write_last_words(self, name: str, text: str) -> None:
        """Keep why a lab in the background failed, for whoever asks for it next."""
        self._last_words(name).write_text(text)

    def last_words(self) -> dict[str, str]:
        """Return why labs in the background failed, by name, until they are up again."""
        return {path.stem: path.read_text() for path in sorted(self._base.glob("*.last-words"))}

    def _last_words(self, name: str) -> Path:
        return self._base / f"{name}.last-words"

    @contextmanager
    def claim(self, name: str) -> Iterator[LabDirectory]:
        """Hold the directory of lab ``name`` inside the block, and remove it afterwards.

        Raise ``UsageError`` when the lab is up already.
        """
        with self._hold(self._base / "labs" / name) as path:
            self._last_words(name).unlink(missing_ok=True)
            yield LabDirectory(path)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a lab that lives as long as one command a directory of its own inside the block."""
        with self._undisturbed():
            self._living("runs")
        with self._hold(self._base / "runs" / token_hex(4)) as path:
            yield path

    @contextmanager
    def _hold(self, path: Path) -> Iterator[Path]:
        """Make a directory and hold its lock inside the block; remove it afterwards, and what a crash left before."""
        with ExitStack() as held:
            with self._undisturbed():
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = held.enter_context((path / "lock").open("w"))
                if not _locked(lock):
                    raise UsageError(f"lab '{path.name}' is up already; 'bellwire down {path.name}' ends it")
                for left in path.iterdir():
                    if left.is_dir():
                        shutil.rmtree(left)
                    elif left.name != "lock":
                        left.unlink()
            try:
                yield path
            finally:
                with self._undisturbed():
                    shutil.rmtree(path, ignore_errors=True)

    def _living(self, kind: str) -> list[Path]:
        """List the directories that somebody holds, by name; remove the others."""
        living = []
        for path in sorted((self._base / kind).glob("*")):
            with suppress(OSError), (path / "lock").open() as lock:
                if not _locked(lock):
                    living.append(path)
                    continue
            shutil.rmtree(path, ignore_errors=True)
        return living

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Keep other commands from making, listing or removing directories inside the block."""
        with (self._base / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _locked(lock: IO[str]) -> bool:
    """Take a lock unless a supervisor holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_private(base: Path) -> None:
    """Make the directory for this user alone; refuse one that somebody else could have prepared."""
    try:
        base.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        pass
    except OSError as error:
        raise DeployError(
            f"cannot make {base}: {error.strerror}; set BELLWIRE_HOME to another directory"
        ) from error
    status = base.lstat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise DeployError(
            f"{base} does not belong to this user alone; make it so (chmod 700 {base}), or set BELLWIRE_HOME to another"
        )
