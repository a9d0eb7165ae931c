"""Faults on demand: what can be broken in a lab that is up, and mended, wherever the lab is.

``Laboratory`` carries it out, ``RemoteLab`` asks a control plane to: both are ``Faults``.

==============================================  ================================================================
``set_link`` ``change_link`` ``reset_link``     a fibre that is cut, longer, noisier; a classical channel that loses
``flap_link``                                   a link that comes and goes
``attach_eve`` ``detach_eve``                   an eavesdropper
``kill`` ``pause`` ``resume``                   a node's process
``partition`` ``heal``                          groups of nodes that cannot reach each other
==============================================  ================================================================

Changes of links, eavesdroppers and partitions happen between two turns where time is virtual, so that a run with them
repeats (``bellwire replay``). What is done to a process is done on the wall, and no run with that repeats.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any

from deploy.eve import Eve
from deploy.link_state import LinkState
from deploy.partition import Planes


class Faults(ABC):
    """What a test does to a lab. Unknown names raise ``NotFound``, what cannot be meant ``UsageError``."""

    @abstractmethod
    async def carry_out(self, what: str, arguments: Mapping[str, Any]) -> Any:
        """Do what one of the methods below does; what it returns is plain data."""

    async def set_link(self, name: str, up: bool) -> None:
        """Cut a link, or mend it: see ``OracleClient.set_link``. Messages still go their way."""
        await self.carry_out("set_link", {"name": name, "up": up})

    async def change_link(self, name: str, changes: Mapping[str, str]) -> None:
        """Let a link be as ``changes`` say, keys and values as in the lab file: ``{"classical.loss": "5 %"}``.

        What is not named stays. A pair that was asked for before comes as it would have come; light that is on the
        fibre comes out as it went in; messages that were sent arrive when they would have.
        """
        await self.carry_out("change_link", {"name": name, "changes": dict(changes)})

    async def reset_link(self, name: str) -> None:
        """Let a link be as the lab file says, and up."""
        await self.carry_out("reset_link", {"name": name})

    async def link(self, name: str) -> LinkState:
        """Tell how a link is now."""
        return _link_state(await self.carry_out("link", {"name": name}))

    async def links(self) -> list[LinkState]:
        """Tell how all links are now."""
        return [_link_state(each) for each in await self.carry_out("links", {})]

    async def flap_link(self, name: str, down: float, up: float, times: int) -> None:
        """Cut a link for ``down`` seconds of the lab's clock and let it be up for ``up``, so many times.

        Return when it is up for the last time; when cancelled, it is up as well.
        """
        await self.carry_out("flap_link", {"name": name, "down": down, "up": up, "times": times})

    async def attach_eve(
        self, link: str, *, strategy: str = "intercept-resend", fraction: float = 1.0, at: str | None = None
    ) -> str:
        """Let an eavesdropper in who attacks a ``fraction`` of the light, ``at`` "9 km" from the first endpoint.

        ``link`` may as well name an eavesdropper of the lab file, who then does what the file says. Return its name.
        It acts on what enters the fibre from now on, and on pairs that are asked for from now on.
        """
        arguments = {"link": link, "strategy": strategy, "fraction": fraction, "at": at}
        return str(await self.carry_out("attach_eve", arguments))

    async def detach_eve(self, name: str) -> None:
        """Let an eavesdropper go; one of the lab file stays there, disabled."""
        await self.carry_out("detach_eve", {"name": name})

    async def eves(self) -> list[Eve]:
        """Tell of all eavesdroppers, and what they have had so far."""
        return [Eve(**eve) for eve in await self.carry_out("eves", {})]

    async def kill(self, node: str) -> None:
        """End a node's process at once (SIGKILL); it stays dead until ``resume``. Runs with it are called off."""
        await self.carry_out("kill", {"node": node})

    async def pause(self, node: str) -> None:
        """Stop a node's process where it is (SIGSTOP). Who waits for it does so until its deadline."""
        await self.carry_out("pause", {"node": node})

    async def resume(self, node: str) -> None:
        """Let a stopped node go on (SIGCONT), or start a dead one again, its keys still in store, and wait for it."""
        await self.carry_out("resume", {"node": node})

    async def partition(self, *groups: Collection[str], planes: Planes = "both") -> None:
        """Part groups of nodes, or one group from all others, in place of any partition before.

        Across it messages wait until ``heal``, for MQTT is a reliable transport, and links are cut. Who is in no group
        keeps all connections. The lab's own orders and announcements get through.
        """
        await self.carry_out("partition", {"groups": [sorted(group) for group in groups], "planes": planes})

    async def heal(self) -> None:
        """End the partition: its links are mended, and what has waited sets off."""
        await self.carry_out("heal", {})

    async def now(self) -> float:
        """Return the time of the lab's clock in emulated seconds."""
        return float(await self.carry_out("now", {}))

    async def pass_time(self, seconds: float) -> None:
        """Wait for so many seconds of the lab's clock."""
        await self.carry_out("pass_time", {"seconds": seconds})


def _link_state(told: Mapping[str, Any]) -> LinkState:
    first, second = told["endpoints"]
    return LinkState(
        told["name"], (first, second), told["up"], dict(told["settings"]), tuple(told["changed"])
    )
