"""A lab of three nodes in a row, served in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared_state.client import NodeClient
from shared_state.config import (
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    ServerConfig,
    TapConfig,
    WorldConfig,
)
from shared_state.oracle import OracleClient
from shared_state.service import Service


@pytest.fixture
def world() -> WorldConfig:
    """alice - charlie - bob: short lossless fibres, four ideal memories each, Eve on the first link."""
    fibre = FibreConfig(length=1000.0, attenuation_db_per_km=0.0)
    return WorldConfig(
        nodes={name: NodeDevices(MemoryConfig(count=4)) for name in ("alice", "charlie", "bob")},
        links={
            "alice-charlie": LinkDevices(("alice", "charlie"), fibre),
            "charlie-bob": LinkDevices(("charlie", "bob"), fibre),
        },
        taps={"eve": TapConfig("alice-charlie", position=500.0)},
        seed=7,
    )


@pytest.fixture
def config(world: WorldConfig) -> ServerConfig:
    tokens = {name: f"{name}'s token" for name in world.nodes}
    return ServerConfig("lab", world, tokens, oracle_token="the oracle's token", lease=2.0)


@pytest.fixture
def wall() -> list[float]:
    """The wall clock: its one element is the time in seconds."""
    return [0.0]


@pytest.fixture
def service(config: ServerConfig, wall: list[float]) -> Service:
    return Service(config, lambda: wall[0])


@pytest.fixture
async def alice(service: Service) -> AsyncIterator[NodeClient]:
    client = await NodeClient.local(service, name="alice")
    yield client
    await client.close()


@pytest.fixture
async def charlie(service: Service) -> AsyncIterator[NodeClient]:
    client = await NodeClient.local(service, name="charlie")
    yield client
    await client.close()


@pytest.fixture
async def bob(service: Service) -> AsyncIterator[NodeClient]:
    client = await NodeClient.local(service, name="bob")
    yield client
    await client.close()


@pytest.fixture
async def oracle(service: Service) -> AsyncIterator[OracleClient]:
    client = await OracleClient.local(service)
    yield client
    await client.close()
