"""The heap of a process that lives long: what is free in it goes back to the operating system, now and then.

glibc gives memory back from the end of its heap only. Arrays that come and go between smaller things that stay leave
holes behind, and the next ones go to the end: a server under steady load grew by 100 MB an hour and used none of it.
A fixed threshold for arrays with a mapping of their own keeps the heap small, too, and makes operations on clusters
of seven to ten qubits two to three times slower. Giving back takes a millisecond or so.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from threading import Event, Thread
from typing import Final

EVERY: Final = 30.0
"""Seconds."""


def keep_small(every: float = EVERY) -> None:
    """Give memory back from now on, in a thread that ends with the process; where the C library cannot, do nothing."""
    give_back = _trim()
    if give_back is not None:
        Thread(target=_again_and_again, args=(give_back, every), name="heap", daemon=True).start()


def _again_and_again(give_back: Callable[[int], int], every: float) -> None:
    never = Event()
    while not never.wait(every):
        give_back(0)


def _trim() -> Callable[[int], int] | None:
    """Return ``malloc_trim`` of glibc, which holds no lock of Python's while it works."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return trim
