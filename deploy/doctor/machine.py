"""What a lab takes from the operating system: a directory, file descriptors, a clock; and the labs that are up."""

from __future__ import annotations

import os
import resource
import select
import stat
import time
from pathlib import Path
from statistics import median
from typing import Final

from deploy.doctor.finding import Finding
from deploy.registry import LabDirectory, Registry
from nodes.runtime.join_documents import home

_LONGEST_SOCKET: Final = 107
"""Bytes of a Unix socket's path on Linux."""
_LONGEST_NAME: Final = 63
_DESCRIPTORS_PER_NODE: Final = 4
_DESCRIPTORS_BESIDES: Final = 64
_FEW_NODES: Final = 50
_TIMER, _TIMERS = 1e-3, 20
_LATE: Final = 1e-3


def machine() -> list[Finding]:
    """Look at all of it."""
    return [_directory(home()), _room_for_sockets(home()), _descriptors(), _clock(), _labs(home())]


def _directory(base: Path) -> Finding:
    subject, elsewhere = "labs' directory", "set BELLWIRE_HOME to another directory"
    try:
        status = base.lstat()
    except FileNotFoundError:
        there = next(parent for parent in base.parents if parent.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            return Finding(subject, "trouble", f"{base} cannot be made: {there} is not yours", elsewhere)
        return Finding(subject, "ok", f"{base}, made when the first lab is up")
    except OSError as error:
        return Finding(subject, "trouble", f"{base}: {error.strerror}", elsewhere)
    if not stat.S_ISDIR(status.st_mode):
        return Finding(subject, "trouble", f"{base} is no directory", elsewhere)
    if status.st_uid != os.getuid():
        return Finding(subject, "trouble", f"{base} belongs to another user", elsewhere)
    if stat.S_IMODE(status.st_mode) & 0o077:
        return Finding(subject, "trouble", f"{base} is open to other users", f"chmod 700 {base}")
    return Finding(subject, "ok", f"{base}, this user's alone")


def _room_for_sockets(base: Path) -> Finding:
    """See how long a lab's name may be, so that its control plane's socket has a path that is short enough."""
    subject, fix = "Unix sockets", "set BELLWIRE_HOME to a shorter path"
    room = _LONGEST_SOCKET - len(os.fsencode(LabDirectory(base / "labs" / "x").socket)) + 1
    if room < 1:
        return Finding(subject, "trouble", f"the path of {base} is too long for them", fix)
    if room < _LONGEST_NAME:
        return Finding(subject, "ok", f"labs with names of up to {room} characters fit", fix)
    return Finding(subject, "ok", "every lab's name fits")


def _descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    nodes = max(0, soft - _DESCRIPTORS_BESIDES) // _DESCRIPTORS_PER_NODE
    found = f"{soft} at a time, enough for labs of some {nodes:,} nodes"
    if nodes < _FEW_NODES:
        return Finding("file descriptors", "trouble", found, f"ulimit -n {min(hard, 4096)}")
    return Finding("file descriptors", "ok", found)


def _clock() -> Finding:
    """Measure how late timers go off: in real time a lab is no more exact than that."""
    resolution = time.get_clock_info("monotonic").resolution
    late = []
    for _ in range(_TIMERS):
        begun = time.monotonic()
        select.select([], [], [], _TIMER)
        late.append(time.monotonic() - begun - _TIMER)
    found = f"resolution {resolution * 1e9:.3g} ns, timers {median(late) * 1e6:.3g} µs late"
    if median(late) > _LATE:
        return Finding("clock", "ok", found, "the machine is busy: use virtual time (--clock virtual)")
    return Finding("clock", "ok", found)


def _labs(base: Path) -> Finding:
    names = []
    if _directory(base).state == "ok" and base.exists():
        names = [directory.name for directory in Registry(base).running()]
    return Finding("labs that are up", "ok", ", ".join(names) or "none")
