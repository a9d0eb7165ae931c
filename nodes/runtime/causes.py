"""Nested exception groups, as task groups raise them, reduced to what went wrong; and that in a sentence."""

from __future__ import annotations

import traceback
from pathlib import Path

from broker.errors import BrokerError
from nodes.errors import NodeError
from nodes.requests import RequestFailed
from shared_state.errors import SharedStateError


def root_cause(error: BaseException) -> BaseException:
    """Return the first error inside nested exception groups, without the scaffolding around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def story(error: BaseException, program: str = "") -> str:
    """Say what went wrong and at which line: the last one in the file ``program`` where the error came through it.

    This project's errors speak for themselves; any other tells its kind first.
    """
    kind, said = type(error).__name__, str(error)
    ours = isinstance(error, (NodeError, BrokerError, SharedStateError))
    everywhere = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in everywhere if frame.filename == program] or ([] if ours else everywhere)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    words = said if ours else ": ".join(filter(None, [kind, said]))
    return words + place


def name_of(error: BaseException) -> str:
    """Return the name of an error's class; of a request for pairs that has failed, also why."""
    name = type(error).__name__
    return f"{name}/{error.failure}" if isinstance(error, RequestFailed) else name
