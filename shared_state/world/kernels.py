"""How the work on long trains is done: by loops that numba compiles, if it is installed, or by numpy and Python."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


@lru_cache(maxsize=1)
def compiled() -> ModuleType | None:
    """Return ``compiled``, or None without numba. The first call takes a second or more."""
    return import_module("shared_state.world.compiled") if find_spec("numba") else None
