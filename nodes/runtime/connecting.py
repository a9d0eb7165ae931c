"""``nodes.connect``: be a node of a lab that is up, from any program."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from broker.errors import BrokerError
from broker.telemetry import Record, Sink
from nodes.errors import JoinRefused
from nodes.runtime.causes import root_cause
from nodes.runtime.config import NodeConfig
from nodes.runtime.connected import ConnectedNode, acting
from nodes.runtime.join_documents import find
from nodes.runtime.join_token import VARIABLE
from nodes.runtime.joining import told
from nodes.runtime.process import opened
from shared_state.errors import AdmissionError, DocumentInvalid, NameInUse, ServerLost


class _Nowhere:
    """A sink for records that nobody reads."""

    def record(self, record: Record) -> None:
        """Drop the record."""


@asynccontextmanager
async def connect(
    name: str | None = None,
    *,
    lab: str | None = None,
    document: Path | str | None = None,
    join: str | None = None,
    token: str | None = None,
    deadline: float = 20.0,
    sink: Sink | None = None,
) -> AsyncIterator[ConnectedNode]:
    """Be the node ``name`` inside the block::

        async with nodes.connect("alice") as me:
            half = await me.pair("bob")

    The lab file says ``nodes: {alice: {external: true}}``; ``nodes.runtime.join_documents`` finds out where the lab is.
    A lab of another host has its door at ``join``, HOST:PORT, and takes the ``token`` that it has shown for this node,
    by default that in the environment variable ``BELLWIRE_TOKEN``.
    ``deadline`` bounds every wait in wall seconds; ``sink`` gets the records that the lab's own nodes write to their
    logs. Leaving the block gives the node's qubits up and says goodbye.

    Raises ``JoinRefused`` when there is no such lab, node or document, or another process is that node;
    ``ServerLost`` or ``BrokerLost`` in the block when the lab goes down meanwhile.
    """
    body: BaseException | None = None
    try:
        async with AsyncExitStack() as resources:
            if join is None:
                config = find(name, lab, document)
            else:
                config = await resources.enter_async_context(told(*_joining(name, join, token)))
            with refusing(config):
                node = await resources.enter_async_context(opened(config, sink or _Nowhere()))
            entering = acting(node, config.name, config.lab, config.external, deadline)
            me = await resources.enter_async_context(entering)
            try:
                yield me
            except BaseException as error:
                body = error
                raise
    except BaseExceptionGroup as group:
        if group is body:
            raise
        raise root_cause(group) from group


def _joining(name: str | None, join: str, token: str | None) -> tuple[str, str, str]:
    """Return what a node joins by. Raise ``JoinRefused`` where something of it is missing."""
    shown = token or os.environ.get(VARIABLE)
    if name is None:
        raise JoinRefused(f"which node of the lab at {join}? Give its name")
    if not shown:
        raise JoinRefused(
            f"the lab at {join} takes '{name}' by a token: give it, or set {VARIABLE}; the lab's host shows one with "
            f"'bellwire node token {name}'"
        )
    return name, join, shown


@contextmanager
def refusing(config: NodeConfig) -> Iterator[None]:
    """Say why a node cannot take its place in the lab."""
    lab, name = config.lab, config.name
    try:
        yield
    except NameInUse:
        raise JoinRefused(
            f"another process is node '{name}' of lab '{lab}' already: end that one first"
        ) from None
    except AdmissionError as error:
        raise JoinRefused(
            f"the lab '{lab}' does not take this document for that of its node '{name}' ({error}): the document is of "
            "another lab, or of an earlier time when this one was up"
        ) from None
    except DocumentInvalid as error:
        raise JoinRefused(f"the document of node '{name}' of lab '{lab}' is damaged: {error}") from None
    except (ServerLost, BrokerError) as error:
        raise JoinRefused(
            f"the lab '{lab}' does not answer: {error} Is it still up? See 'bellwire ls'."
        ) from None
