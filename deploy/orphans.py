"""A process that was stopped must not outlive its lab: when its parent dies the kernel lets it go on, and it ends."""

from __future__ import annotations

import ctypes
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def go_on_when_orphaned() -> None:
    """Ask the kernel to send this process SIGCONT when its parent ends; on Linux only, elsewhere do nothing.

    To a process that is not stopped SIGCONT does nothing, and one that was finds that its launcher has gone.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)
