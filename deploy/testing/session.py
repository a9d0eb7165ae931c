"""What the plugin keeps of a run of tests: assertions made, labs used, directories kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from deploy.testing.budget import FlakeBudget

if TYPE_CHECKING:
    from deploy.testing.shelf import Shelved

BUDGET = pytest.StashKey[FlakeBudget]()
"""Of the run, all its workers included."""
KEPT = pytest.StashKey[list[str]]()
"""What was kept of labs, in words, that no report has told yet."""
SHELVED: pytest.StashKey[Shelved] = pytest.StashKey()
"""The lab that a test uses."""
_FAILED = pytest.StashKey[bool]()
_DECLARED = pytest.StashKey[list[float]]()


def declare(item: pytest.Item) -> Callable[[float], None]:
    """Return who hears the false-alarm probabilities of a test's assertions."""
    return item.stash.setdefault(_DECLARED, []).append


def declared(item: pytest.Item) -> list[float]:
    """Return what was heard and has not been told yet."""
    heard = item.stash.setdefault(_DECLARED, [])
    told = list(heard)
    heard.clear()
    return told


def note_failure(item: pytest.Item) -> None:
    """Note that a test has failed."""
    item.stash[_FAILED] = True


def failed(item: pytest.Item) -> bool:
    """Tell whether a test has failed so far."""
    return item.stash.get(_FAILED, False)
