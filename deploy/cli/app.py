"""The command ``bellwire``: one verb per file, errors and exit codes in one place."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from broker.errors import BrokerError
from deploy.cli import (
    bench,
    chaos,
    controller,
    demo,
    doctor,
    down,
    entangle,
    eve,
    events,
    exec,
    export,
    heal,
    image,
    inspect,
    keys,
    kill,
    link,
    logs,
    ls,
    node,
    partition,
    pause,
    ps,
    qkd,
    replay,
    resume,
    run,
    send,
    serve,
    up,
    validate,
    validate_physics,
    version,
)
from deploy.cli.screen import complain, emit_json, say
from deploy.errors import CheckFailed, DeployError
from nodes.errors import NodeError
from nodes.runtime.causes import root_cause
from shared_state.errors import SharedStateError

app = typer.Typer(
    name="bellwire",
    help="A quantum internet you can run: every node a process, real MQTT between them, one density matrix underneath.",
    epilog="First: bellwire demo. Then: bellwire run teleport --lab alice-bob --rounds 100",
    no_args_is_help=True,
    invoke_without_command=True,
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


for _module in (
    demo,
    doctor,
    up,
    ps,
    logs,
    events,
    exec,
    kill,
    pause,
    resume,
    partition,
    heal,
    chaos,
    down,
    ls,
    validate,
    inspect,
    run,
    entangle,
    qkd,
    send,
    replay,
    controller,
    serve,
    bench,
    validate_physics,
    version,
):
    app.command(_module.NAME)(reporting(_module.command))

for _group in (keys, link, eve, image, export, node):
    _verbs = typer.Typer(name=_group.NAME, help=_group.HELP, no_args_is_help=True)
    for _name, _verb in _group.VERBS.items():
        _verbs.command(_name)(reporting(_verb))
    app.add_typer(_verbs, name=_group.NAME)


@app.callback()
def _options(
    shown: Annotated[
        bool, typer.Option("--version", help="Print the versions and exit.", is_eager=True)
    ] = False,
) -> None:
    if shown:
        version.command()
        raise typer.Exit
