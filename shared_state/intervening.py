"""What is done to the quantum world from outside while it runs: links cut, mended and changed, eavesdroppers let in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared_state.config import LinkDevices, TapConfig
from shared_state.devices import differences
from shared_state.errors import SharedStateError
from shared_state.narrator import Narrator
from shared_state.record import Event
from shared_state.session import ANY_RUN
from shared_state.turns import Turns
from shared_state.world.ends import link_down
from shared_state.world.links import Links

Refuse = Callable[[str, int, SharedStateError, str, str], None]
"""Lets the request of a party that takes turns be refused now: party, number, error, operation, run."""


class Intervening:
    """Changes to the devices of ``links``.

    Each happens at the present of the turns where an end of its link takes part in them, at the stated time elsewhere.
    """

    def __init__(self, links: Links, turns: Turns, narrator: Narrator, refuse: Refuse) -> None:
        self._links = links
        self._turns = turns
        self._narrator = narrator
        self._refuse = refuse

    def set_link(self, who: str, at: float, name: str, up: bool) -> None:
        """Cut or mend a link.

        An answer with a herald that is not due by then is taken back, and a refusal is due now in its place.
        """
        links, turns = self._links, self._turns
        links.ends.check_link(name)
        moment = self._moment(name, at)
        self._narrator.set_link(moment, who, name, up)
        if up:
            links.cuts.mend(name)
            return
        turns.hold("")  # all of them are told before the first one acts
        for node, answer in turns.recall(name):
            if answer.qubit is not None:
                links.take_back(node, answer.qubit)
            assert answer.herald is not None
            _, word, run = answer.herald
            self._refuse(node, answer.request, link_down(name), word, run)
        links.cuts.cut(name, moment)
        turns.release("")

    def change_link(self, who: str, at: float, name: str, devices: LinkDevices) -> None:
        """Give a link other devices."""
        self._links.ends.check_link(name)
        changed = differences(self._links.ends.links[name], devices)
        self._links.change(name, devices)
        self._tell(who, at, name, "link.changed", {"link": name, **changed})

    def attach_tap(self, who: str, at: float, name: str, tap: TapConfig) -> None:
        """Let an eavesdropper in that no lab file knows of."""
        self._links.ends.attach_tap(name, tap)
        self._tell(
            who,
            at,
            tap.link,
            "tap.attached",
            {"tap": name, "link": tap.link, "strategy": tap.strategy, "fraction": tap.fraction},
        )

    def detach_tap(self, who: str, at: float, name: str) -> None:
        """Let an eavesdropper go for good, with its books."""
        link = self._links.ends.detach_tap(name)
        self._tell(who, at, link, "tap.detached", {"tap": name, "link": link})

    def undo(self, who: str, at: float) -> None:
        """Let all links and eavesdroppers be as they were when the world began."""
        ends = self._links.ends
        for name in ends.newcomers():
            self.detach_tap(who, at, name)
        for name, tap in ends.nature.world.taps.items():
            if ends.is_enabled(name) != tap.enabled:
                ends.set_tap(name, tap.enabled)
                self._tell(who, at, tap.link, "tap.set", {"tap": name, "enabled": tap.enabled})
        for name, devices in ends.nature.world.links.items():
            if ends.links[name] != devices:
                self.change_link(who, at, name, devices)
            if name in ends.down:
                self.set_link(who, at, name, True)

    def _moment(self, link: str, at: float) -> float:
        takes_turns = any(node in self._turns for node in self._links.ends.links[link].endpoints)
        return self._turns.now if takes_turns else at

    def _tell(self, who: str, at: float, link: str, event: str, details: dict[str, Any]) -> None:
        self._narrator.tell(self._moment(link, at), who, Event(ANY_RUN, event, details))
