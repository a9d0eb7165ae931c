"""Where a lab listens: on the loopback address, or where other hosts reach it."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address
from typing import Final

from broker.programs.choose import find_mosquitto
from deploy.errors import UsageError, ValueInvalid
from deploy.fields import HOST
from deploy.launcher import Place
from deploy.plan import Plan
from deploy.runtime_checks import ASKS_FOR_CERTIFICATES

_INSTALL: Final = "install it (on Debian or Ubuntu: sudo apt install mosquitto)"


def places(plan: Plan) -> tuple[Place, Place]:
    """Return the places of the broker and of the shared-state server of ``plan``.

    Raise ``UsageError`` where they cannot be: this host has no such address, somebody listens there already, or no
    broker is at hand that asks for certificates, as that of containers does.
    """
    host, ports = plan.host, plan.ports
    if not host:
        if plan.launcher == "docker" and plan.broker not in ASKS_FOR_CERTIFICATES:
            raise UsageError(
                f"containers have a mosquitto of their own, and no way to the broker '{plan.broker}'; write broker: "
                "mosquitto, or leave it out"
            )
        return Place(), Place()
    if plan.launcher == "docker":
        raise UsageError(
            f"the host {host} is for labs of processes: containers have networks of their own; see 'bellwire export'"
        )
    if plan.broker not in ASKS_FOR_CERTIFICATES:
        raise UsageError(
            f"on the host {host} the broker asks for certificates, which mosquitto does and '{plan.broker}' does not; "
            "write broker: mosquitto"
        )
    if not find_mosquitto():
        raise UsageError(f"on the host {host} the broker is mosquitto, which is not here; {_INSTALL}")
    address = _resolved(host)
    for key in ("broker", "state", "join"):
        _check_free(host, address, key, getattr(ports, key))
    return Place(host, ports.broker), Place(host, ports.state)


def host_of(text: str) -> str:
    """Return the host that an option names. Raise ``UsageError``."""
    try:
        return HOST.read(text)
    except ValueInvalid as error:
        raise UsageError(f"--host: {error}") from None


def _resolved(host: str) -> tuple[socket.AddressFamily, str]:
    """Return the address that ``host`` stands for. Raise ``UsageError`` for none that other hosts could dial."""
    try:
        family, *_, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UsageError(
            f"the host '{host}' is not known here ({error.strerror}); write an address"
        ) from None
    found = str(address[0])
    if ip_address(found).is_loopback and host not in (found, "localhost"):
        raise UsageError(
            f"'{host}' is {found} on this host, where no other host reaches it; write its address instead"
        )
    return family, found


def _check_free(host: str, address: tuple[socket.AddressFamily, str], key: str, port: int) -> None:
    """Listen for a moment. Raise ``UsageError`` when that is not allowed."""
    family, found = address
    try:
        socket.create_server((found, port), family=family).close()
    except OSError as error:
        match error.errno:
            case errno.EADDRNOTAVAIL:
                raise UsageError(
                    f"{host} is no address of this host; 'ip -brief address' lists those that it has"
                ) from None
            case errno.EADDRINUSE:
                raise UsageError(
                    f"somebody listens on {host}:{port} already, perhaps another lab; write "
                    f"runtime: {{ports: {{{key}: PORT}}}} into the lab file, 0 for a free one"
                ) from None
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
