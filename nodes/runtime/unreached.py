"""Why nobody answers at an address of another host, and what to do about it: for whoever reads the error."""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from typing import Final

_NO_ROUTE: Final = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


@dataclass(frozen=True, slots=True)
class Unreached:
    """The likely ``reason`` for which a connection was not made, and an ``advice``."""

    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.advice}"


def unreached(error: OSError, within: float) -> Unreached:
    """Say what ``error``, of a connection that was waited for ``within`` so many seconds, most likely means."""
    match error:
        case socket.gaierror():
            return Unreached("the name is not known", "check its spelling, or give the address")
        case ssl.SSLError():
            told = error.reason or str(error)
            return Unreached(f"what listens there speaks no TLS of a lab ({told})", "check the port")
        case ConnectionRefusedError():
            return Unreached(
                "refused: the host is there, and nothing listens at this port",
                "start what is to listen there, or check the port",
            )
        case ConnectionResetError() | BrokenPipeError() | EOFError():
            return Unreached(
                "the connection was ended from there",
                "something else than a lab may listen at this port; check it",
            )
        case TimeoutError():
            return Unreached(
                f"no answer within {within:g} s: a firewall drops it, or the host is down",
                "open the port in the firewalls of both hosts",
            )
        case OSError(errno=number) if number in _NO_ROUTE:
            return Unreached(
                "unreachable: no route leads there, or the wire is cut",
                "check the address, the network of both hosts and the way between ('ip route get ADDRESS')",
            )
    return Unreached(error.strerror or str(error) or type(error).__name__, "check the address and the port")
