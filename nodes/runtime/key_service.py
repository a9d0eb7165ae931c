"""The keys of one node: its manager, the plane to the other managers, and the KME in front of them.

All of it stands outside of emulated time: applications ask when they like, and what they get is theirs alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from broker.bus import Bus
from broker.telemetry import Record, Sink
from nodes.errors import NodeError
from nodes.identity import Identity
from nodes.keys.manager import KeyManager
from nodes.keys.secret import Secret
from nodes.keys.site import KeyNetwork
from nodes.keys.store import KeyStore
from nodes.ports import Coin
from nodes.runtime.channel import Channel
from nodes.runtime.clock import RunClock
from nodes.runtime.key_plane import BusKeyPlane
from nodes.runtime.keys_config import KeysConfig
from nodes.runtime.mail import KEYS, PostOffice

if TYPE_CHECKING:
    from nodes.runtime.kme_http import Access

_TELL_INTERVAL = 0.5
_REFILL_INTERVAL = 2.0
"""Wall seconds after which what is left over is tried again, if nothing has stirred."""


class KeyService:
    """Serves the keys in ``store``; ``channels`` lead to the other nodes, ``clock`` is the lab's.

    ``seeded``: the ``coin`` is a stream of the lab's seed.
    """

    def __init__(
        self,
        config: KeysConfig,
        store: KeyStore,
        identity: Identity,
        office: PostOffice,
        bus: Bus,
        clock: RunClock,
        channels: Mapping[str, Channel],
        coin: Coin,
        seeded: bool,
        sink: Sink,
    ) -> None:
        self._config = config
        self._store = store
        self._bus = bus
        self._clock = clock
        self._sink = sink
        self._node = office.name
        self._stolen = 0
        self._delivered = 0
        self.listening = asyncio.Event()
        """Is set when applications can call, where there is anything to call."""
        self._plane = BusKeyPlane(office, clock.now, clock.until, channels)
        kme = config.kme
        self.manager = KeyManager(
            self._node,
            store,
            self._plane,
            KeyNetwork(config.saes, config.links),
            clock=clock,
            coin=coin,
            limits=None if kme is None else kme.limits,
            pairs=config.pairs,
            observe=self._observe,
            seeded=seeded,
            reproducible_too=True if kme is None else kme.deliver_reproducible,
            identity=identity,
            thief=self._steal if config.compromised else None,
        )

    async def serve(self) -> None:
        """Answer other nodes and applications, keep the pools filled, and announce levels, until cancelled."""
        async with AsyncExitStack() as resources:
            if self._config.kme is not None:
                # loaded here, for a web server is a good part of a process, and most nodes do without one
                from nodes.runtime.kme_http import serve_kme

                kme = await resources.enter_async_context(
                    serve_kme(self._config.kme, self.manager, self._note_access)
                )
                self._note("kme.ready", port=kme.port)
            self.listening.set()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._plane.serve(self.manager.answer))
                group.create_task(self._refill())
                group.create_task(self._tell())

    async def _refill(self) -> None:
        """Settle and fill when something has stirred, and now and then."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_REFILL_INTERVAL):
                    await self.manager.stirred.wait()
            try:
                await self.manager.refill()
            except NodeError as failure:
                self._note("keys.refill-failed", message=str(failure))

    async def _tell(self) -> None:
        """Announce what is in store whenever it has changed: all nodes hear it, so nothing is said twice."""
        looked: tuple[int, int, int] | None = None
        told: dict[str, object] = {"pools": [], "delivered": 0, "stolen": 0}
        while True:
            state = (self._store.revision, self._delivered, self._stolen)
            if state != looked:
                pools = [asdict(level) for level in await asyncio.to_thread(self._store.levels)]
                document = {"pools": pools, "delivered": self._delivered, "stolen": self._stolen}
                if document != told:
                    await self._bus.announce(KEYS, document)
                looked, told = state, document
            await asyncio.sleep(_TELL_INTERVAL)

    def _observe(self, event: str, fields: Mapping[str, object]) -> None:
        if event in ("keys-delivered", "keys-collected") and isinstance(number := fields.get("keys"), int):
            self._delivered += number
        self._note(
            f"keys.{event.removeprefix('keys-')}", **{name: _plain(value) for name, value in fields.items()}
        )

    def _note_access(self, access: Access) -> None:
        self._note("kme.access", **asdict(access))

    def _steal(self, request: str, secret: Secret) -> None:
        """Count what somebody reads who has broken into this trusted node."""
        self._stolen += len(secret)
        self._note("relay.read", request=request, bytes=len(secret))

    def _note(self, name: str, **fields: str | int | float) -> None:
        self._sink.record(Record(name, self._clock.now(), self._node, None, fields))


def _plain(value: object) -> str | int | float:
    """Return a field as an event has it: several names as one text."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return value if isinstance(value, int | float | str) else str(value)
