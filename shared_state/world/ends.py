"""What the operations on a link share: who is at its ends, what waits there, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.config import LinkDevices, TapConfig
from shared_state.engine.batch import Codes
from shared_state.errors import BadRequest, LinkDown, SharedStateError
from shared_state.world.nature import Nature
from shared_state.world.path import Path, darkened, path_of
from shared_state.world.queues import Ask, Light, Photon, Queues, Ticket
from shared_state.world.taps import Tap, TapReport


class Delivered(NamedTuple):
    """A heralded pair has reached this end at emulated ``time``."""

    qubit: int
    pair: str
    time: float


class DeliveredPairs(NamedTuple):
    """A batch of heralded pairs, the first of them number ``first`` of its link, each at its own time."""

    batch: int
    first: int
    times: NDArray[np.float64]


class MeasuredPairs(NamedTuple):
    """Pairs have been measured on arrival: this end's bases and outcomes, and when it knew that each was a pair."""

    bases: Codes
    bits: Codes
    times: NDArray[np.float64]


class Arrived(NamedTuple):
    """A transmitted qubit, or None where it was lost, has arrived at emulated ``time``."""

    qubit: int | None
    time: float


class Detected(NamedTuple):
    """A train of pulses has been measured; the last pulse has passed at emulated ``time``."""

    clicked: Codes
    bits: Codes
    time: float


class DetectedTrain(NamedTuple):
    """A train of so many pulses has been measured in bases that the receiver drew; clicks at ``indices`` only."""

    pulses: int
    indices: NDArray[np.uint32]
    bases: Codes
    bits: Codes
    time: float


Outcome: TypeAlias = (
    Delivered | DeliveredPairs | MeasuredPairs | Arrived | Detected | DetectedTrain | SharedStateError
)

Pairs: TypeAlias = Delivered | DeliveredPairs | MeasuredPairs

_IN_MEMORY: Final = ("pair", "pairs", "qubit")
"""What takes up memories at the end that asks for it."""


class Ends:
    """All links of the lab and what waits on them.

    A request that waits carries a ticket; when its outcome is known, ``settle`` is called with both.
    """

    def __init__(self, nature: Nature, settle: Callable[[Ticket, Outcome], None]) -> None:
        self.nature = nature
        self.links = dict(nature.world.links)
        self.queues = Queues()
        self.settle = settle
        self.down: set[str] = set()
        """The links that are cut."""
        self._taps = dict(nature.world.taps)
        self._reports = {name: TapReport() for name in self._taps}

    def peer(self, node: str, run: str, link: str) -> str:
        """Return the other end of the node's link. Raises BadRequest and RunClosed."""
        self.nature.presence.check_open(node, run)
        devices = self.links.get(link)
        if devices is None or node not in devices.endpoints:
            own = [name for name, other in self.links.items() if node in other.endpoints]
            raise BadRequest(f"{node} has no link {link!r}; its links are {_names(own)}.")
        return other_end(devices, node)

    def path(self, link: str, sender: str, run: str) -> Path:
        """Return the way of light of a run from the sender to the other end, past the taps that are enabled."""
        rng = self.nature.rng(f"link/{link}/fibre/{sender}", run)
        taps = self.taps(link, run)
        devices = self.links[link]
        return path_of(darkened(devices) if link in self.down else devices, sender, taps, rng)

    def taps(self, link: str, run: str) -> dict[str, Tap]:
        """Return the taps of a link that are enabled, with their dice for a run."""
        return {
            name: Tap(tap, self.nature.rng(f"tap/{name}", run), self._reports[name])
            for name, tap in self._taps.items()
            if tap.link == link and tap.enabled
        }

    def attached(self, link: str) -> tuple[TapConfig, ...]:
        """Return the taps of a link that are enabled, in the order of ``taps``."""
        return tuple(tap for tap in self._taps.values() if tap.link == link and tap.enabled)

    def check_link(self, name: str) -> None:
        """Raise BadRequest unless the lab has a link of this name."""
        if name not in self.links:
            raise BadRequest(f"there is no link {name!r}; there are {_names(self.links)}.")

    def check_up(self, link: str) -> None:
        """Raise LinkDown when the link is cut."""
        if link in self.down:
            raise link_down(link)

    def set_tap(self, name: str, enabled: bool) -> None:
        """Attach or detach an eavesdropper."""
        self._check_tap(name)
        self._taps[name] = replace(self._taps[name], enabled=enabled)

    def is_enabled(self, name: str) -> bool:
        """Tell whether an eavesdropper is attached."""
        self._check_tap(name)
        return self._taps[name].enabled

    def newcomers(self) -> list[str]:
        """Return the eavesdroppers that the lab file does not know."""
        return [name for name in self._taps if name not in self.nature.world.taps]

    def attach_tap(self, name: str, tap: TapConfig) -> None:
        """Add an eavesdropper. Raises BadRequest where it does not fit."""
        if name in self._taps:
            raise BadRequest(f"there is a tap {name!r} already; give this one another name.")
        self.check_link(tap.link)
        _check_position(name, tap, self.links[tap.link])
        self._taps[name] = tap
        self._reports[name] = TapReport()

    def detach_tap(self, name: str) -> str:
        """Forget an eavesdropper; return the name of its link."""
        self._check_tap(name)
        del self._reports[name]
        return self._taps.pop(name).link

    def change(self, name: str, devices: LinkDevices) -> None:
        """Give a link other devices. Raises BadRequest where its ends or its taps do not fit them."""
        self.check_link(name)
        if devices.endpoints != self.links[name].endpoints:
            raise BadRequest(f"link {name!r} connects {' and '.join(self.links[name].endpoints)} for good.")
        for tap, config in self._taps.items():
            if config.link == name:
                _check_position(tap, config, devices)
        self.links[name] = devices

    def tap_report(self, name: str) -> TapReport:
        """Return what an eavesdropper has done so far, while it was attached."""
        self._check_tap(name)
        return self._reports[name]

    def _check_tap(self, name: str) -> None:
        if name not in self._taps:
            raise BadRequest(f"there is no tap {name!r}; there are {_names(self._taps)}.")

    def withdraw(self, ticket: Ticket) -> Ask | None:
        """Take a waiting request back; None when it does not wait."""
        ask = self.queues.withdraw(ticket)
        if ask is not None:
            self.release(ask)
        return ask

    def fail(self, ask: Ask, error: SharedStateError) -> None:
        """Answer a waiting request with an error."""
        self.withdraw(ask.ticket)
        self.settle(ask.ticket, error)

    def absorb(self, light: Light) -> None:
        """Let light go nowhere."""
        if isinstance(light, Photon) and light.holding is not None:
            self.nature.vanish(light.holding)

    def meet(self, ask: Ask) -> tuple[Ask, Ask] | None:
        """Let a request for pairs meet the other end's that has waited longest; None when it has to wait for one.

        The request of the link's first endpoint comes first. Raises LinkDown, NoFreeMemory, and BadRequest where the
        other end asks for another number of pairs, or for pairs at another alpha.
        """
        self.check_up(ask.place.link)
        other = self.queues.first_ask(ask.place)
        if other is not None and other.node == ask.node:
            other = None
        if other is not None and other.count != ask.count:
            raise BadRequest(
                f"{other.node} asks for {other.count} pairs of link {ask.place.link!r}, and {ask.node} for {ask.count}."
            )
        if other is not None and other.alpha != ask.alpha:
            raise BadRequest(
                f"{other.node} asks for pairs of link {ask.place.link!r} at {_alpha(other)}, and {ask.node} at "
                f"{_alpha(ask)}: both ends must ask for the same."
            )
        self.reserve(ask)
        if other is None:
            self.queues.wait(ask)
            return None
        self.queues.withdraw(other.ticket)
        return (ask, other) if self.links[ask.place.link].endpoints[0] == ask.node else (other, ask)

    def reserve(self, ask: Ask) -> None:
        """Set aside the memory that the outcome needs. Raises NoFreeMemory."""
        if ask.place.kind in _IN_MEMORY:
            self.nature.keeping.make_room(ask.node, ask.at, ask.place.run)
            self.nature.ledger.reserve(ask.node, ask.place.run, ask.count)

    def release(self, ask: Ask) -> None:
        """Take the reservation back."""
        if ask.place.kind in _IN_MEMORY:
            self.nature.ledger.release(ask.node, ask.place.run, ask.count)


def link_down(link: str) -> LinkDown:
    """Return the error for who asks for pairs of a link that is cut."""
    return LinkDown(f"link {link!r} is down: no pair comes over it before it is up again.")


def other_end(devices: LinkDevices, node: str) -> str:
    """Return the node at the other end of a link."""
    first, second = devices.endpoints
    return second if node == first else first


def _check_position(name: str, tap: TapConfig, devices: LinkDevices) -> None:
    if tap.position > devices.fibre.length:
        raise BadRequest(
            f"the tap {name!r} at {tap.position:g} m is beyond the end of link {tap.link!r}, whose fibre has "
            f"{devices.fibre.length:g} m."
        )


def _alpha(ask: Ask) -> str:
    return "the link's own alpha" if ask.alpha is None else f"alpha {ask.alpha!r}"


def _names(names: Collection[str]) -> str:
    return ", ".join(names) or "none"
