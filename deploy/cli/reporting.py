"""What goes wrong in a verb, as its user hears of it: a sentence on stderr, an exit code, with --json a document."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import typer

from broker.errors import BrokerError
from deploy.cli.screen import complain, emit_json, say
from deploy.errors import CheckFailed, DeployError
from nodes.errors import NodeError
from nodes.runtime.causes import root_cause
from shared_state.errors import SharedStateError

_OURS = (DeployError, NodeError, BrokerError, SharedStateError)


def reporting(verb: Callable[..., None]) -> Callable[..., None]:
    """Turn this project's errors into a sentence on stderr and an exit code; others show their traceback."""

    @functools.wraps(verb)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            verb(*args, **kwargs)
        except KeyboardInterrupt:
            say("Interrupted; everything that this command started has been ended.")
            raise typer.Exit(130) from None
        except asyncio.CancelledError:
            say("Ended by SIGTERM; everything that this command started has been ended.")
            raise typer.Exit(143) from None
        except (*_OURS, BaseExceptionGroup) as error:
            cause = root_cause(error)
            if not isinstance(cause, _OURS):
                raise
            code = getattr(cause, "exit_code", 1)
            complain(str(cause))
            if kwargs.get("json") and not isinstance(cause, CheckFailed):  # that one comes after the document
                problems = [asdict(problem) for problem in getattr(cause, "problems", ())]
                emit_json("error", {"error": str(cause), "exit_code": code, "problems": problems})
            raise typer.Exit(code) from None

    return wrapped
