"""What must fit together in the section ``runtime``: a lab of containers, or that other hosts reach, has a broker that
knows TLS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from deploy.complaints import Complaint
from deploy.lookup import at, table
from deploy.source import Value
from deploy.wording import quoted

ASKS_FOR_CERTIFICATES: Final = ("auto", "mosquitto")
"""The brokers, as a lab file names them, under which parties are whom their certificates name."""


def check_runtime(lab: Value) -> Iterator[Complaint]:
    """Find what does not go with a host, or goes only with one."""
    host, broker = at(lab, "runtime", "host"), at(lab, "runtime", "broker")
    open_to_all = broker if isinstance(broker, str) and broker not in ASKS_FOR_CERTIFICATES else None
    if host is None:
        if at(lab, "runtime", "launcher") == "docker" and open_to_all is not None:
            what = f"containers have a mosquitto of their own, and no way to {quoted(open_to_all)}"
            yield Complaint(("runtime", "broker"), f"{what}; write broker: mosquitto, or leave it out")
        if table(at(lab, "runtime", "ports")):
            what = "the lab listens on free ports of the loopback address"
            yield Complaint(
                ("runtime", "ports"), f"{what}; write host: and an address, or leave these out", of_key=True
            )
        return
    if at(lab, "runtime", "launcher") == "docker":
        what = "containers have networks of their own, which no other host reaches"
        yield Complaint(
            ("runtime", "host"),
            f"{what}; leave the host out, write launcher: process, or see 'bellwire export'",
            of_key=True,
        )
    if open_to_all is not None:
        what = f"with a host the broker asks for certificates, and {quoted(open_to_all)} does not"
        yield Complaint(("runtime", "broker"), f"{what}; write broker: mosquitto, or leave it out")
