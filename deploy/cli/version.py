"""``bellwire version``: which Bellwire, Python and brokers these are."""

from __future__ import annotations

import platform
from importlib.metadata import version

from broker.programs.choose import find_mosquitto
from deploy.cli.options import JsonOption
from deploy.cli.screen import emit_json, out


def command(json: JsonOption = False) -> None:
    """Print the versions of Bellwire, of Python and of the brokers at hand.

    Example: bellwire version --json
    """
    facts = {
        "bellwire": version("bellwire"),
        "python": platform.python_version(),
        "amqtt": version("amqtt"),
        "mosquitto": find_mosquitto(),
    }
    if json:
        emit_json("version", facts)
        return
    for name, fact in facts.items():
        out.print(f"{name:10} {fact or 'not installed'}")
