"""Who may come in: the hello is checked before anything else is said."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import Literal

from shared_state.config import ServerConfig
from shared_state.errors import BadCredential, WireError, WrongLab, WrongVersion
from shared_state.wire import VERSION, Message


@dataclass(frozen=True, slots=True)
class Hello:
    """A party that is who it says. ``resume`` is the session to continue, empty for a new one."""

    name: str
    role: Literal["node", "oracle"]
    resume: str
    received: int


def admit(message: Message, config: ServerConfig, proven: str | None = None) -> Hello:
    """Check a hello. ``proven``: the name in the certificate that its sender has shown, None where none was asked for.

    Raises:
        WireError: the message is not a hello.
        AdmissionError: wrong version, lab, name, certificate or token; a wrong name and a wrong token look the same.
    """
    match message:
        case {"version": int(version)} if version != VERSION:
            raise WrongVersion(f"this server speaks version {VERSION} of the protocol, not {version}.")
        case {
            "version": int(),
            "lab": str(lab),
            "name": str(name),
            "token": str(token),
            "role": "node" | "oracle" as role,
            "resume": str(resume),
            "received": int(received),
        }:
            if lab != config.lab:
                raise WrongLab(f"this server serves the lab {config.lab!r}, not {lab!r}.")
            if proven is not None and proven != name:
                raise BadCredential(f"{name!r} comes with the certificate of {proven!r}.")
            _check_token(name, role, token, config)
            return Hello(name, role, resume, received)
    raise WireError(
        "the first message must be a hello with version, lab, name, token, role, resume and received."
    )


def _check_token(name: str, role: str, token: str, config: ServerConfig) -> None:
    expected = config.oracle_token if role == "oracle" else config.credentials.get(name, "")
    # in constant time, so that a wrong token does not tell how much of it was right
    if not compare_digest(token.encode(), expected.encode()) or not expected:
        raise BadCredential(f"the token is not that of {role} {name!r} in this lab.")
