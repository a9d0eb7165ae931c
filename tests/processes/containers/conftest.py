"""What the tests on containers share: an engine that has this version's image, and how full it is of labs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from docker import APIClient
from docker.errors import APIError, NotFound

from deploy.containers.engine import connect
from deploy.containers.image import build
from deploy.containers.supervisor import LAB_LABEL, PART_LABEL
from deploy.errors import EngineUnusable


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine of containers, as its user sees it."""

    client: APIClient

    def of_labs(self) -> dict[str, dict[str, Any]]:
        """Return what the engine tells of each container of a lab, by the part that it plays."""
        told = {}
        for each in self.client.containers(all=True, filters={"label": LAB_LABEL}):
            with suppress(NotFound):  # it has ended meanwhile
                told[each["Labels"][PART_LABEL]] = self.client.inspect_container(each["Id"])
        return told

    def left_over(self) -> list[str]:
        """List the containers, networks and volumes that labs have left."""
        networks = self.client.networks(filters={"label": LAB_LABEL})
        volumes = self.client.volumes()["Volumes"] or []
        return [*self.of_labs(), *(each["Name"] for each in networks), *(each["Name"] for each in volumes)]


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
    try:
        yield there
        assert there.left_over() == []
    finally:
        _clear(client)
        client.close()


def _clear(client: APIClient) -> None:
    """Remove what a test has left that failed."""
    for container in client.containers(all=True, filters={"label": LAB_LABEL}):
        with suppress(APIError):
            client.remove_container(container["Id"], force=True)
    client.prune_networks({"label": LAB_LABEL})
