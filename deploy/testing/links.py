"""The links of a lab, and whoever listens on them, as a test takes them."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from deploy.eve import Eve
from deploy.link_state import LinkState
from deploy.testing.doing import Doing


class LinkHandle:
    """One link of a lab."""

    def __init__(self, doing: Doing, name: str) -> None:
        self._doing = doing
        self._faults = doing.lab.controls
        self.name = name

    async def down(self) -> None:
        """Cut it: no pair comes over it, light in its fibre is lost. Messages still go their way."""
        cutting = self._faults.set_link(self.name, False)
        await self._doing.do(f"cut {self.name}", cutting, undo=lambda: self._faults.set_link(self.name, True))

    async def up(self) -> None:
        """Mend it."""
        mending = self._faults.set_link(self.name, True)
        await self._doing.do(f"mend {self.name}", mending, undoes=(f"cut {self.name}",))

    async def set(self, changes: Mapping[str, object] | None = None, /, **keys: object) -> None:
        """Change what it is, keys and values as in the lab file; what is not named stays.

        Example: ``await link.set(length="40 km")``, ``await link.set({"classical.loss": "5 %"})``
        """
        texts = {key: str(value) for key, value in {**(changes or {}), **keys}.items()}
        changing = self._faults.change_link(self.name, texts)
        await self._doing.do(f"change {self.name}", changing, undo=self._reset)

    async def reset(self) -> None:
        """Let it be as the lab file has it, and up."""
        undone = (f"change {self.name}", f"cut {self.name}")
        await self._doing.do(f"reset {self.name}", self._reset(), undoes=undone)

    async def flap(self, *, down: float = 0.5, up: float = 0.5, times: int = 3) -> None:
        """Cut it for ``down`` seconds of the lab's clock, mend it for ``up``, so many times; return when it is up."""
        await self._doing.do(f"flap {self.name}", self._faults.flap_link(self.name, down, up, times))

    async def state(self) -> LinkState:
        """Tell how it is now, and what is otherwise than in the lab file."""
        return await self._doing.lab.thread.do(f"look at {self.name}", self._faults.link(self.name))

    def _reset(self) -> Coroutine[Any, Any, None]:
        return self._faults.reset_link(self.name)


class EveHandle:
    """Whoever listens on the links of a lab."""

    def __init__(self, doing: Doing) -> None:
        self._doing = doing
        self._faults = doing.lab.controls

    async def attach(
        self,
        link: str,
        *,
        strategy: str = "intercept-resend",
        fraction: float = 1.0,
        at: str | None = None,
    ) -> str:
        """Let Eve attack a ``fraction`` of the light on a link, ``at`` "9 km" from its first end; return her name.

        ``link`` may as well name an eavesdropper of the lab file, who does what the file says.
        """
        await self._remember()
        attaching = self._faults.attach_eve(link, strategy=strategy, fraction=fraction, at=at)
        return await self._doing.do(f"attach Eve to {link}", attaching)

    async def detach(self, name: str = "eve") -> None:
        """Let her go."""
        await self._remember()
        await self._doing.do(f"detach {name}", self._faults.detach_eve(name))

    async def list(self) -> list[Eve]:
        """Tell who listens where, and what they have had so far."""
        return await self._doing.lab.thread.do("look for Eve", self._faults.eves())

    async def _remember(self) -> None:
        """Let whoever listens now do so again after the test, and nobody else."""
        before = await self.list()
        self._doing.remember("Eve", lambda: self._restore(before))

    async def _restore(self, before: Sequence[Eve]) -> None:
        now = {eve.name: eve for eve in await self._faults.eves()}
        listened = {eve.name: eve for eve in before if eve.enabled}
        for eve in now.values():
            if eve.enabled and eve.name not in listened:
                await self._faults.detach_eve(eve.name)
        for eve in listened.values():
            if eve.name not in now:
                as_before = {"strategy": eve.strategy, "fraction": eve.fraction, "at": f"{eve.at!r} m"}
                await self._faults.carry_out("attach_eve", {"link": eve.link, "name": eve.name, **as_before})
            elif not now[eve.name].enabled:
                await self._faults.attach_eve(eve.name)
