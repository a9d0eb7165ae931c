"""The engine that runs the containers: which one it is, and what its refusals mean to the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from docker import APIClient
from docker.context import ContextAPI
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env

from deploy.errors import EngineUnusable

_CONNECTIONS: Final = 64
_ADVICE: Final = (
    "start it (on Debian or Ubuntu: sudo apt install docker.io), name another one with DOCKER_HOST, or let the parties "
    "be processes: --launcher process"
)


def connect() -> APIClient:
    """Return a client of the engine that ``DOCKER_HOST`` names, or the user's context.

    Raise ``EngineUnusable`` when it does not answer.
    """
    settings: dict[str, Any] = {}
    try:
        settings = kwargs_from_env()
        if "base_url" not in settings and (context := ContextAPI.get_current_context()) is not None:
            settings["base_url"] = context.Host
        client = APIClient(version="auto", max_pool_size=_CONNECTIONS, **settings)
        client.ping()
    except DockerException as error:
        where = settings.get("base_url") or "the usual socket"
        raise EngineUnusable(f"no engine of containers answers at {where}; {_ADVICE}") from error
    return client


def check_local(client: APIClient) -> None:
    """Raise ``EngineUnusable`` for an engine on another host, which sees none of this host's files and ports."""
    if client.base_url != "http+docker://localhost":
        raise EngineUnusable(
            f"the engine at {client.base_url} is on another host: a lab for it is written by 'bellwire export compose'"
        )


@contextmanager
def asked_to(do: str) -> Iterator[None]:
    """Raise ``EngineUnusable`` for what the engine refuses to ``do`` inside the block."""
    try:
        yield
    except APIError as error:
        raise EngineUnusable(f"the engine of containers cannot {do}: {error.explanation or error}") from error
    except (DockerException, OSError) as error:
        raise EngineUnusable(f"the engine of containers has failed to {do}: {error}") from error
