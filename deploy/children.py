"""What runs inside each child process of a lab: the broker, the shared-state server, a node.

Every child speaks to its launcher over one pipe: it sends ("ready", port) once, or ("failed", cause, message) before it
exits, and it ends when the launcher's end is gone, however that came about.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from broker.errors import BrokerError
from broker.programs.program import BrokerConfig
from nodes.errors import NodeError
from nodes.runtime.causes import root_cause
from nodes.runtime.config import NodeConfig
from shared_state.config import ServerConfig
from shared_state.errors import SharedStateError
from shared_state.heap import keep_small

Ready = Callable[[int], None]
"""Tells the launcher that the child serves, on this port (0 where it listens on none)."""

_GRACE = 3.0
_SELF_EXPLANATORY = (BrokerError, NodeError, SharedStateError)


@dataclass(frozen=True, slots=True)
class BrokerPart:
    """Run a broker program."""

    config: BrokerConfig
    choice: str

    async def serve(self, ready: Ready) -> None:
        """Serve until cancelled."""
        from deploy import serving

        await serving.broker(self.config, self.choice, ready)


@dataclass(frozen=True, slots=True)
class StatePart:
    """Run the shared-state server."""

    config: ServerConfig

    async def serve(self, ready: Ready) -> None:
        """Serve until cancelled."""
        from deploy import serving

        await serving.state(self.config, ready)


@dataclass(frozen=True, slots=True)
class NodePart:
    """Run a node. It tells everyone on the bus when it is ready, so its pipe says no more than that it has begun."""

    config: NodeConfig

    async def serve(self, ready: Ready) -> None:
        """Serve until cancelled."""
        from deploy import serving

        await serving.node(self.config, ready)


class Part(Protocol):
    """What a child process does."""

    async def serve(self, ready: Ready) -> None:
        """Serve until cancelled."""


def main(part: Part, pipe: Connection, log: Path) -> None:
    """Be a child process: serve ``part``, write to ``log``, obey the pipe. Does not return before the end."""
    _write_to(log)
    # Ctrl-C is for the launcher, which then ends its children. A terminal sends it to its whole session: this process
    # leaves it, for a broker program that it runs would not ignore the signal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setsid()
    keep_small()
    try:
        with asyncio.Runner(loop_factory=_loop_factory(part)) as runner:
            runner.run(_serve(part, pipe))
    except asyncio.CancelledError:
        pass
    except BaseException as error:  # noqa: BLE001 - the launcher is told, whatever it was
        cause = root_cause(error)
        known = isinstance(cause, _SELF_EXPLANATORY)
        traceback.print_exception(cause, limit=0 if known else None, chain=not known)
        _tell(pipe, ("failed", type(cause).__name__, str(cause)))
        sys.exit(1)


async def _serve(part: Part, pipe: Connection) -> None:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    watch = threading.Thread(target=_watch_launcher, args=(pipe, loop, task), daemon=True)
    watch.start()
    await part.serve(lambda port: _tell(pipe, ("ready", port)))


def _watch_launcher(pipe: Connection, loop: asyncio.AbstractEventLoop, task: asyncio.Task[object]) -> None:
    """End this process when the launcher is gone: a thread, so that a busy event loop cannot outlive it."""
    with suppress(EOFError, OSError):
        pipe.recv()
    if not loop.is_closed():
        loop.call_soon_threadsafe(task.cancel)
    threading.Event().wait(_GRACE)
    os._exit(1)


def _tell(pipe: Connection, message: tuple[object, ...]) -> None:
    with suppress(OSError):  # nobody is left to be told
        pipe.send(message)


def _write_to(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)


def _loop_factory(part: Part) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where the extra ``fast`` is installed, but for nodes, which need a loop of their own."""
    if isinstance(part, NodePart):
        from nodes.runtime.process import event_loop

        return event_loop
    if importlib.util.find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return factory
