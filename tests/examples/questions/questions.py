"""A client that is to be tested: a server measures halves of pairs for it, and it notes each answer beside its own.

::

    client                          server
      |<---------- Answer: its bit ---|  measures its half
      |  measures its half, and notes both bits: a line of the file ``answers``, whole or not at all
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nodes.ports import HalfWith, Peer, Qubit


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server has measured."""

    bit: int


async def client(half: Annotated[Qubit, HalfWith("server")], server: Peer, answers: str = "answers") -> None:
    """Note the answer to one question."""
    its = (await server.receive(Answer)).bit
    note(Path(answers), f"{await half.measure()} {its}\n")


async def server(half: Annotated[Qubit, HalfWith("client")], client: Peer) -> None:
    """Answer one question."""
    await client.send(Answer(await half.measure()))


def note(file: Path, line: str) -> None:
    """Add a line: one call of the system, after which it is in the file whoever dies."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
