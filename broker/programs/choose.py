"""Which broker program a lab runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Literal, get_args

from broker.errors import ProgramMissing
from broker.programs.mosquitto import MosquittoBroker
from broker.programs.program import BrokerConfig, BrokerProgram

Choice = Literal["auto", "embedded", "mosquitto"]

# Debian keeps daemons where an ordinary user's PATH does not lead.
_SYSTEM_DIRECTORIES = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"


def find_mosquitto() -> str | None:
    """Return the path of the mosquitto program, or None."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=_SYSTEM_DIRECTORIES)


def choose(
    config: BrokerConfig, choice: Choice = "auto", log: Callable[[str], None] | None = None
) -> BrokerProgram:
    """Return the broker to run: ``auto`` is mosquitto where it is installed, otherwise the embedded one.

    ``log`` hears what mosquitto writes: also whom it has refused.
    Raises ``ProgramMissing`` when mosquitto is asked for by name and not installed.
    """
    if choice not in get_args(Choice):
        raise ProgramMissing(f"There is no broker {choice!r}: choose one of {', '.join(get_args(Choice))}.")
    if config.tls is not None and (choice == "embedded" or not find_mosquitto()):
        raise ProgramMissing("A broker that asks for certificates is mosquitto: install it, or choose it.")
    executable = None if choice == "embedded" else find_mosquitto()
    if executable:
        return MosquittoBroker(config, executable, log=log)
    if choice == "mosquitto":
        raise ProgramMissing(
            "There is no mosquitto on this machine: install it, or use the broker 'embedded'."
        )
    from broker.programs.embedded import EmbeddedBroker  # with amqtt, which takes its time to load

    return EmbeddedBroker(config)
