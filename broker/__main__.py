"""Run a lab's broker: ``python -m broker``, or ``python -m broker --config FILE``.

The first line of standard input, or of the file, is a JSON object: ``lab``, ``users`` and ``directory``, and optionally
``host``, ``port``, ``monitor``, ``tls`` (``authority``, ``certificate`` and ``key`` in PEM) and ``program`` (auto,
embedded or mosquitto). Once the broker accepts
connections, one line ``{"program": ..., "host": ..., "port": ...}`` is written to standard output. The
broker ends with standard input, so it does not outlive whoever started it, and on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from broker.errors import BrokerError, ProgramError
from broker.programs.choose import choose
from broker.programs.program import BrokerConfig, BrokerProgram, BrokerTls

_LONGEST = 1 << 26
"""Bytes of a configuration: every party of the lab has a line in it."""


def read_program(line: str) -> BrokerProgram:
    """Return the broker that a line of JSON asks for. Raises ``ProgramError``."""
    try:
        document = json.loads(line)
        choice = document.pop("program", "auto")
        tls = BrokerTls(**document["tls"]) if document.get("tls") else None
        config = BrokerConfig(**document | {"directory": Path(document["directory"]), "tls": tls})
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ProgramError(f"This is no broker's configuration as one line of JSON: {error!r}.") from error
    return choose(config, choice)


async def run(stdin: asyncio.StreamReader) -> None:
    """Run the broker until standard input or the process ends."""
    line = (await stdin.readline()).decode()
    async with read_program(line) as broker, asyncio.TaskGroup() as group:
        ready = {"program": broker.program, "host": broker.host, "port": broker.port}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        watching = group.create_task(broker.watch())
        await stdin.read()
        watching.cancel()


async def main(source: str) -> None:
    """Connect standard input, or a file, and the signals to ``run``."""
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader(limit=_LONGEST)
    if source == "-":
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    else:
        stdin.feed_data(_text(Path(source)) + b"\n")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stdin.feed_eof)
    await run(stdin)


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes().strip()
    except OSError as error:
        raise ProgramError(f"There is no broker's configuration at {file}: {error}.") from error


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m broker", description="A Bellwire lab's broker")
    parser.add_argument(
        "--config", default="-", help="its configuration as JSON: a file, or - for standard input"
    )
    try:
        asyncio.run(main(parser.parse_args().config))
    except* BrokerError as errors:
        sys.exit(str(_first(errors)))
