"""Key managers of a few nodes, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pytest

from tests.nodes.keys.key_lab import LINK, KeyLab, MakeLab


@pytest.fixture
def make_lab() -> Iterator[MakeLab]:
    """Return a maker of labs, which are closed after the test."""
    labs: list[KeyLab] = []

    def make(links: Mapping[str, Collection[str]] = LINK, **options: Any) -> KeyLab:
        labs.append(KeyLab(links, **options))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()
