"""The command ``bellwire``: one verb per file, errors and exit codes in one place."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import typer

from broker.errors import BrokerError
from deploy.cli import bench, demo, down, entangle, logs, ls, ps, qkd, run, send, up, validate, version
from deploy.cli.screen import complain
from deploy.errors import DeployError
from nodes.errors import NodeError
from nodes.runtime.causes import root_cause
from shared_state.errors import SharedStateError

app = typer.Typer(
    name="bellwire",
    help="A quantum internet you can run: every node a process, real MQTT between them, one density matrix underneath.",
    epilog="First: bellwire demo. Then: bellwire run teleport --lab alice-bob --rounds 100",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_OURS = (DeployError, NodeError, BrokerError, SharedStateError)


def reporting(verb: Callable[..., None]) -> Callable[..., None]:
    """Turn this project's errors into a sentence on stderr and an exit code; others show their traceback."""

    @functools.wraps(verb)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            verb(*args, **kwargs)
        except KeyboardInterrupt:
            complain("interrupted; everything that this command started has been ended")
            raise typer.Exit(130) from None
        except asyncio.CancelledError:
            complain("ended by SIGTERM; everything that this command started has been ended")
            raise typer.Exit(143) from None
        except (*_OURS, BaseExceptionGroup) as error:
            cause = root_cause(error)
            if not isinstance(cause, _OURS):
                raise
            complain(str(cause))
            raise typer.Exit(getattr(cause, "exit_code", 1)) from None

    return wrapped


for _module in (demo, up, ps, logs, down, ls, validate, run, entangle, qkd, send, bench, version):
    app.command(_module.NAME)(reporting(_module.command))
