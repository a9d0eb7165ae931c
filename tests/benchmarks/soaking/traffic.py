"""What goes on in a lab that soaks: runs of programs and keys for applications, again and again, one way or the other.

A run may fail where the lab is broken on purpose, but only with an error that a user may hear of: one of the closed
sets of ``nodes.errors`` and ``shared_state.errors``, less those that say that Bellwire itself is at fault. A key may
be refused; what is handed out is never handed out again, and both applications get the same.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from deploy.errors import ControlUnreachable, ProcessDied, Reported, RunUnsuccessful
from deploy.jobs import Job
from deploy.key_access import KeyAccess
from deploy.laboratory import Laboratory
from nodes.errors import NodeError, ProgramInvalid, ProtocolViolation, RunFailed
from nodes.link.service import Failure
from shared_state.errors import (
    BadRequest,
    InternalError,
    JournalFailed,
    NotYours,
    RecordFailed,
    SharedStateError,
    TimeReversed,
)

MASTER, SLAVE = "vpn-north", "vpn-dc"
DEADLINE: Final = 10.0
PACE: Final = 0.5
"""Wall seconds between two runs of a kind: a soak is long, and need not be hot."""
JOBS: Final[Mapping[str, Job]] = {
    "teleport": Job("teleport", {"alice": "alice", "bob": "bob"}, 3, deadline=DEADLINE),
    "entangle": Job("entangle", {"alice": "alice", "bob": "bob"}, 5, {"tests": "0"}, DEADLINE),
    "qkd": Job("qkd", {"alice": "alice", "bob": "carol"}, 1, {"pulses": "20000"}, DEADLINE),
}
_AT_FAULT: Final = (
    ProgramInvalid,
    ProtocolViolation,
    BadRequest,
    InternalError,
    JournalFailed,
    NotYours,
    RecordFailed,
    TimeReversed,
)
_KEYS_AT_A_TIME: Final = 3


def closed_set() -> set[str]:
    """Name the causes for which a run may fail when its lab is broken on purpose."""
    causes = {error.__name__ for root in (NodeError, SharedStateError) for error in _family(root)}
    faults = {error.__name__ for fault in _AT_FAULT for error in _family(fault)}
    return (causes - faults) | {f"RequestFailed/{failure.value}" for failure in Failure}


def _family(error: type[Exception]) -> Iterator[type[Exception]]:
    yield error
    for heir in error.__subclasses__():
        yield from _family(heir)


@dataclass(slots=True)
class Tally:
    """What has become of everything: successes by kind, failures by kind and cause, and broken promises in words."""

    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Traffic:
    """Runs on a lab and keys out of it. ``access``: as applications get keys."""

    laboratory: Laboratory
    access: KeyAccess
    tally: Tally = field(default_factory=Tally)
    _allowed: set[str] = field(default_factory=closed_set)
    _handed_out: array[int] = field(default_factory=lambda: array("Q"))
    """The first 8 bytes of the SHA-256 of everything: many small things that stay would look like a leak."""

    async def flow(self, until: asyncio.Event) -> None:
        """Let all kinds go on beside each other until an event; what has begun by then comes to its end."""
        kinds: list[Callable[[], Awaitable[bool]]] = [
            *((lambda kind=kind: self.run(kind)) for kind in JOBS),
            self.fetch_keys,
        ]
        async with asyncio.TaskGroup() as group:
            for once in kinds:
                group.create_task(_again_and_again(once, until))

    async def run(self, kind: str) -> bool:
        """Run one program; tell whether it has succeeded."""
        try:
            await self.laboratory.run(JOBS[kind])
        except (RunUnsuccessful, ProcessDied) as failure:
            failed = failure.__cause__
            cause = failed.cause if isinstance(failed, RunFailed) else type(failed).__name__
            self.tally.failed[kind, cause] += 1
            if cause not in self._allowed:
                self.tally.broken.append(f"a run of {kind} failed with {cause}: {failure}")
            return False
        except Exception as failure:  # noqa: BLE001 - whatever it is, nobody was told that it can come
            self.tally.failed[kind, type(failure).__name__] += 1
            self.tally.broken.append(f"a run of {kind} raised {type(failure).__name__}: {failure}")
            return False
        self.tally.done[kind] += 1
        return True

    async def fetch_keys(self) -> bool:
        """Fetch keys as one application and collect them as the other; tell whether both have got them."""
        try:
            made = await asyncio.to_thread(self.access.get_key, MASTER, SLAVE, _KEYS_AT_A_TIME, None)
            self.note(made)
            identities = [key["key_ID"] for key in made]
            collected = await asyncio.to_thread(self.access.get_key_with_ids, SLAVE, MASTER, identities)
        except (Reported, ControlUnreachable) as refusal:
            self.tally.failed["keys", type(refusal).__name__] += 1
            return False
        if _by_identity(collected) != _by_identity(made):
            self.tally.broken.append(f"the two applications have got different keys for {identities}")
        await self._ask_again(identities)
        self.tally.done["keys"] += len(made)
        return True

    def note(self, keys: list[dict[str, Any]]) -> None:
        """Take note of keys that were handed out to the master, each for the first and only time."""
        for key in keys:
            for what in (key["key_ID"], key["key"]):
                mark = int.from_bytes(sha256(what.encode()).digest()[:8])
                if mark in self._handed_out:
                    self.tally.broken.append(f"key {key['key_ID']} was handed out twice")
                self._handed_out.append(mark)

    async def _ask_again(self, identities: list[str]) -> None:
        """Ask for keys that have been collected: a key is delivered to its application once."""
        try:
            await asyncio.to_thread(self.access.get_key_with_ids, SLAVE, MASTER, identities[:1])
        except (Reported, ControlUnreachable):
            return
        self.tally.broken.append(f"key {identities[0]} was collected twice")


def _by_identity(keys: list[dict[str, Any]]) -> dict[str, str]:
    return {key["key_ID"]: key["key"] for key in keys}


async def _again_and_again(once: Callable[[], Awaitable[bool]], until: asyncio.Event) -> None:
    while not until.is_set():
        await once()
        try:
            async with asyncio.timeout(PACE):
                await until.wait()
        except TimeoutError:
            continue
