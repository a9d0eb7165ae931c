"""The composition root of a node's process: opens its two connections and serves until it is told to stop."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from broker.mqtt import MqttBus
from broker.telemetry import Sink
from nodes.identity import Identity
from nodes.keys.store import KeyStore
from nodes.runtime.channel import open_channel
from nodes.runtime.config import NodeConfig
from nodes.runtime.ensemble import follow
from nodes.runtime.node import Node
from nodes.runtime.stage import Surroundings
from shared_state.client import NodeClient
from shared_state.errors import DocumentInvalid


async def serve(config: NodeConfig, sink: Sink, ready: Callable[[], None] = lambda: None) -> None:
    """Be the node that ``config`` describes until cancelled; ``ready`` is called when it takes part in the lab.

    Raise ``AdmissionError`` or ``BrokerRefused`` when a credential is wrong, ``ServerLost`` or ``BrokerLost`` when a
    connection cannot be had or is gone for good.
    """
    async with opened(config, sink) as node:
        await node.serve(ready)


@asynccontextmanager
async def opened(config: NodeConfig, sink: Sink) -> AsyncIterator[Node]:
    """Give the block the node that ``config`` describes, connected and not yet serving.

    Raises as ``serve``, and ``DocumentInvalid`` for secrets, or a place for the key store, that cannot be.
    """
    try:
        surroundings = _surroundings(config)
    except ValueError:
        told = f"a secret or key in the configuration of node '{config.name}' is no hexadecimal number"
        raise DocumentInvalid(told) from None
    except OSError as error:
        raise DocumentInvalid(
            f"the keys of node '{config.name}' cannot be in {config.keys.store}: {error.strerror}; name a file in a "
            "folder that is there and may be written to, or none"
        ) from None
    with closing(surroundings.keys):
        async with _connected(config, surroundings, sink) as node:
            yield node


@asynccontextmanager
async def _connected(config: NodeConfig, surroundings: Surroundings, sink: Sink) -> AsyncIterator[Node]:
    state, broker = config.shared_state, config.broker
    client = await NodeClient.connect(
        state.host, state.port, lab=config.lab, name=config.name, token=state.secret, tls=state.tls
    )
    bus = MqttBus(
        name=config.name,
        lab=config.lab,
        host=broker.host,
        port=broker.port,
        username=config.name,
        password=broker.secret,
        tls=broker.context(),
        statuses=True,
        telemetry=sink,
        clock=client.now,
    )
    async with client, bus:
        calm = follow(asyncio.get_running_loop()) if client.mode == "virtual" else None
        yield Node(surroundings, config.lab, client, bus, config.seed, sink, calm)


def event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop for a node: asyncio's own over ``select``.

    In virtual time a node must know when nothing is ready to run, which only asyncio's own loop tells. In real time
    its timers must go off at their time, and asyncio's usual ``epoll`` rounds every wait up to a millisecond.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def _surroundings(config: NodeConfig) -> Surroundings:
    keys = config.keys
    return Surroundings(
        name=config.name,
        links=config.links,
        sources=config.sources,
        channels={
            node: open_channel(hops, config.seed, config.name, node) for node, hops in config.channels.items()
        },
        secrets={peer: bytes.fromhex(secret) for peer, secret in config.secrets.items()},
        shortest_delay=config.shortest_delay,
        pair_links=config.pair_links,
        memories=config.memories,
        cutoff=config.cutoff,
        agreements=config.agreements,
        keys=KeyStore(Path(keys.store) if keys.store else None, bytes.fromhex(keys.wrapping_key)),
        key_service=keys,
        identity=Identity(
            config.name,
            bytes.fromhex(keys.identity_seed),
            {node: bytes.fromhex(key) for node, key in keys.public_keys.items()},
        ),
        reproducible=config.seed is not None,
        incarnation=config.incarnation,
        severed=config.severed,
    )
