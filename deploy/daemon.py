"""A supervisor in the background: a process of its own session that outlives the command which started it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from broker.errors import BrokerError
from deploy.errors import DeployError, LabFailed, Reported
from nodes.errors import NodeError
from nodes.runtime.causes import root_cause
from shared_state.errors import SharedStateError


def in_background(body: Callable[[Callable[[], None]], None], last_words: Callable[[str], None]) -> None:
    """Run ``body`` in a process of its own; return when it calls what it is given, raise what stopped it before.

    What ends it later goes to ``last_words``.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork() == 0:
        os.close(reading)
        _be_background(body, writing, last_words)
    os.close(writing)
    with os.fdopen(reading) as report:
        text = report.read()
    match json.loads(text or "null"):
        case "up":
            return
        case {"exit_code": int(code), "message": str(message)}:
            raise Reported(message, code)
    raise LabFailed("the lab's supervisor ended before the lab was up")


def _be_background(
    body: Callable[[Callable[[], None]], None], report: int, last_words: Callable[[str], None]
) -> NoReturn:
    """Leave the terminal, do the work, and exit without returning into the parent's program."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    told = False

    def tell(message: object) -> None:
        nonlocal told
        told = True
        os.write(report, json.dumps(message).encode())
        os.close(report)

    try:
        body(lambda: tell("up"))
    except (DeployError, NodeError, BrokerError, SharedStateError, BaseExceptionGroup) as error:
        cause = root_cause(error)
        if told:
            last_words(str(cause))
        else:
            tell({"exit_code": getattr(cause, "exit_code", 1), "message": str(cause)})
    finally:
        os._exit(0)
