"""What the tests on containers share: an engine that has this version's image, and what labs have there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from docker.errors import APIError, NotFound

from deploy.containers.engine import connect
from deploy.containers.image import build
from deploy.containers.lab_engine import DIRECTORY_LABEL, LAB_LABEL, PART_LABEL
from deploy.errors import EngineUnusable

_HOMES = str(Path(tempfile.gettempdir()) / "bw-")
"""Where the labs of tests live: others are somebody else's."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine of containers, as its user sees it."""

    client: APIClient

    def of_labs(self) -> dict[str, dict[str, Any]]:
        """Return what the engine tells of each container of a lab, by the part that it plays."""
        told = {}
        for each in _ours(self.client.containers(all=True, filters={"label": LAB_LABEL})):
            with suppress(NotFound):  # it has ended meanwhile
                told[each["Labels"][PART_LABEL]] = self.client.inspect_container(each["Id"])
        return told

    def left_over(self) -> list[str]:
        """List the containers and networks that labs have left."""
        networks = _ours(self.client.networks(filters={"label": LAB_LABEL}))
        return [*self.of_labs(), *(each["Name"] for each in networks)]

    def volumes(self) -> set[str]:
        """Return the names of all volumes."""
        return {each["Name"] for each in self.client.volumes()["Volumes"] or []}


def _ours(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in found if each["Labels"].get(DIRECTORY_LABEL, "").startswith(_HOMES)]


@pytest.fixture(scope="session")
def image() -> str:
    """Build this version's image; skip where there is no engine to build it with."""
    try:
        connect().close()
    except EngineUnusable as missing:
        pytest.skip(str(missing))
    return build().name


@pytest.fixture
def engine(image: str) -> Iterator[Engine]:
    """The engine; at the end it has nothing of any lab."""
    client = connect()
    there = Engine(client)
    _clear(client)
    volumes = there.volumes()
    try:
        yield there
        assert there.left_over() == []
        assert there.volumes() == volumes
    finally:
        _clear(client)
        client.close()


def _clear(client: APIClient) -> None:
    """Remove what a test has left that failed."""
    for container in _ours(client.containers(all=True, filters={"label": LAB_LABEL})):
        with suppress(APIError):
            client.remove_container(container["Id"], force=True)
    for network in _ours(client.networks(filters={"label": LAB_LABEL})):
        with suppress(APIError):
            client.remove_network(network["Id"])
