"""A supervisor in the background: a process of its own session that outlives the command which started it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from deploy.errors import LabFailed, Reported
from nodes.runtime.causes import root_cause


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
    except BaseException as error:  # noqa: BLE001 - nobody sees a traceback here, so whatever it was is told
        cause = root_cause(error)
        ended = isinstance(cause, asyncio.CancelledError)
        message = "its supervisor was told to end by SIGTERM" if ended else str(cause) or type(cause).__name__
        if told:
            last_words(message)
        else:
            tell({"exit_code": getattr(cause, "exit_code", 1), "message": message})
    finally:
        os._exit(0)
