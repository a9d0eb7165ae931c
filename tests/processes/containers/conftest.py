"""What the tests on containers share: an engine that has this version's image, and what labs have there."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from docker.errors import APIError, ImageNotFound, NotFound

from deploy.containers.engine import connect
from deploy.containers.image import FINGERPRINT_LABEL, build, is_current
from deploy.containers.lab_engine import DIRECTORY_LABEL, LAB_LABEL, PART_LABEL
from deploy.containers.parts import own_image
from deploy.errors import EngineUnusable
from tests.processes.conftest import HOMES


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine of containers, as a test sees it whose labs live in directories that begin with one of ``homes``."""

    client: APIClient
    homes: tuple[str, ...]

    def of_labs(self) -> dict[str, dict[str, Any]]:
        """Return what the engine tells of each container of a lab, by the part that it plays."""
        told = {}
        for each in self.containers():
            with suppress(NotFound):  # it has ended meanwhile
                told[each["Labels"][PART_LABEL]] = self.client.inspect_container(each["Id"])
        return told

    def containers(self) -> list[dict[str, Any]]:
        """List the containers of labs."""
        return self._ours(self.client.containers(all=True, filters={"label": LAB_LABEL}))

    def networks(self) -> list[dict[str, Any]]:
        """List the networks of labs."""
        return self._ours(self.client.networks(filters={"label": LAB_LABEL}))

    def left_over(self) -> list[str]:
        """List the containers and networks that labs have left."""
        return [*self.of_labs(), *(each["Name"] for each in self.networks())]

    def clear(self) -> None:
        """Remove what a test has left that failed."""
        for container in self.containers():
            with suppress(APIError):
                self.client.remove_container(container["Id"], force=True)
        for network in self.networks():
            with suppress(APIError):
                self.client.remove_network(network["Id"])

    def _ours(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [each for each in found if each["Labels"].get(DIRECTORY_LABEL, "").startswith(self.homes)]

    def volumes(self) -> set[str]:
        """Return the names of all volumes."""
        return {each["Name"] for each in self.client.volumes()["Volumes"] or []}


@pytest.fixture(scope="session")
def image() -> str:
    """Build this version's image, if the engine has not got it; skip where there is no engine to build it with."""
    try:
        client = connect()
    except EngineUnusable as missing:
        pytest.skip(str(missing))
    with closing(client), alone("image"):
        if not _is_there(client):
            build()
    return own_image()


def _is_there(client: APIClient) -> bool:
    with suppress(ImageNotFound):
        found = client.inspect_image(own_image())
        return FINGERPRINT_LABEL in (found["Config"]["Labels"] or {}) and is_current(found)
    return False


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Do something that no other worker of the same tests does at the same time."""
    with (Path(tempfile.gettempdir()) / f"bellwire-tests-{os.getuid()}-{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def engine(image: str, tmp_path: Path) -> Iterator[Engine]:
    """The engine; at the end it has nothing of any lab."""
    with closing(connect()) as client:
        there = Engine(client, (str(Path(tempfile.gettempdir()) / HOMES), str(tmp_path)))
        volumes = there.volumes()
        try:
            yield there
            assert there.left_over() == []
            assert there.volumes() == volumes
        finally:
            there.clear()
