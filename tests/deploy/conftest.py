"""Lab files written for one test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.errors import LabFileInvalid
from deploy.topology import Lab, load

ReadLab = Callable[[str], Lab]
ReadProblems = Callable[[str], list[str]]


@pytest.fixture
def read(tmp_path: Path) -> ReadLab:
    """Load a lab file ``lab.yaml`` of the given text."""

    def read(text: str) -> Lab:
        file = tmp_path / "lab.yaml"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        return load(file)

    return read


@pytest.fixture
def problems(read: ReadLab) -> ReadProblems:
    """Load an invalid lab file of the given text; return its problems as ``line:column: message``."""

    def problems(text: str) -> list[str]:
        with pytest.raises(LabFileInvalid) as caught:
            read(text)
        return [f"{each.line}:{each.column}: {each.message}" for each in caught.value.problems]

    return problems
