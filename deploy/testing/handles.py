"""What a test takes a lab by: its processes, its links, whoever listens on these."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deploy.errors import NotFound
from deploy.laboratory import ProcessStatus
from deploy.logbook import last_lines
from deploy.testing.errors import NotOfThisLab
from deploy.testing.standing import StandingLab
from deploy.wording import unknown
from shared_state.oracle import Census, OracleClient

if TYPE_CHECKING:
    from deploy.testing.doing import Doing


class ProcessHandle:
    """One process of a lab: the broker, the shared-state server, a node."""

    def __init__(self, doing: Doing, name: str) -> None:
        self._doing = doing
        self.name = name

    async def status(self) -> ProcessStatus:
        """Return its state. Raise ``NotFound`` when the lab has no such process (any more)."""
        lab = self._doing.lab
        there = {each.name: each for each in await lab.thread.do("status", lab.status())}
        if self.name not in there:
            raise NotFound(unknown("process", self.name, there))
        return there[self.name]

    def logs(self, count: int = 1000) -> list[str]:
        """Return the last lines of its log, readable."""
        if (directory := self._doing.lab.directory) is None:
            raise NotOfThisLab(f"the logs of lab '{self._doing.lab.name}' are on another host")
        return last_lines(directory / "logs" / f"{self.name}.log", count)

    async def kill(self) -> None:
        """Kill it (SIGKILL), as a crash or a power cut would."""
        process = await self.status()
        self._doing.begin()
        os.kill(process.pid, signal.SIGKILL)
        self._doing.spoil(f"{self.name} was killed")


class NodeHandle(ProcessHandle):
    """One node of a lab."""

    async def kill(self) -> None:
        """Kill its process, as a crash or a power cut would."""
        await self._doing.do(f"kill {self.name}", self._doing.lab.controls.kill(self.name))
        self._doing.spoil(f"{self.name} was killed")

    async def pause(self) -> None:
        """Stop its process, until ``resume``: it does not answer, and has not gone either."""
        controls = self._doing.lab.controls
        await self._doing.do(
            f"pause {self.name}", controls.pause(self.name), undo=lambda: controls.resume(self.name)
        )

    async def resume(self) -> None:
        """Let its process go on."""
        name = self.name
        await self._doing.do(f"resume {name}", self._doing.lab.controls.resume(name), undoes=f"pause {name}")


class LinkHandle:
    """One link of a lab."""

    def __init__(self, doing: Doing, name: str) -> None:
        self._doing = doing
        self.name = name

    async def down(self) -> None:
        """Cut it: no pair comes over it, light in its fibre is lost. Messages still go their way."""
        controls, name = self._doing.lab.controls, self.name
        await self._doing.do(
            f"cut {name}", controls.set_link(name, False), undo=lambda: controls.set_link(name, True)
        )

    async def up(self) -> None:
        """Mend it."""
        await self._doing.do(
            f"mend {self.name}", self._doing.lab.controls.set_link(self.name, True), undoes=f"cut {self.name}"
        )

    async def set(self, **changes: Any) -> None:
        """Change what it is; keys as in the lab file, and what is not named stays: ``set(length="40 km")``."""
        controls, name = self._doing.lab.controls, self.name
        texts = {key: str(value) for key, value in changes.items()}
        await self._doing.do(
            f"change {name}", controls.change_link(name, texts), undo=lambda: controls.reset_link(name)
        )

    async def reset(self) -> None:
        """Let it be as the lab file has it."""
        name = self.name
        await self._doing.do(
            f"reset {name}", self._doing.lab.controls.reset_link(name), undoes=f"change {name}"
        )

    async def flap(self, *, down: float = 0.5, up: float = 0.5, times: int = 3) -> None:
        """Cut it for ``down`` seconds and mend it for ``up``, so many times; return when it stays up."""
        controls, name = self._doing.lab.controls, self.name
        await self._doing.do(f"flap {name}", controls.flap_link(name, down, up, times))


class EveHandle:
    """Whoever listens on the links of a lab."""

    def __init__(self, doing: Doing) -> None:
        self._doing = doing

    async def attach(
        self,
        link: str,
        *,
        strategy: str = "intercept-resend",
        fraction: float = 1.0,
        at: str | None = None,
    ) -> str:
        """Let Eve listen on a link, ``at`` a place like "9 km" from its first end; return her name.

        ``strategy``: intercept-resend of this ``fraction`` of all photons, or photon-number-splitting.
        """
        controls = self._doing.lab.controls
        attaching = controls.attach_eve(link, strategy=strategy, fraction=fraction, at=at)
        name = await self._doing.do(f"attach Eve to {link}", attaching)
        self._doing.remember(f"Eve {name}", lambda: controls.detach_eve(name))
        return name

    async def detach(self, name: str) -> None:
        """Let her go."""
        await self._doing.do(
            f"detach {name}", self._doing.lab.controls.detach_eve(name), undoes=f"Eve {name}"
        )


class OracleHandle:
    """The view from outside that no node has: for tests only, and no part of what is tested."""

    def __init__(self, lab: StandingLab) -> None:
        self._lab = lab

    async def census(self) -> Census:
        """Count what the quantum world holds."""
        return await self._lab.thread.do("census", self._oracle().census())

    async def now(self) -> float:
        """Return the lab's emulated time in seconds."""
        return await self._lab.thread.do("now", self._oracle().now())

    async def density_matrix(self, qubits: Sequence[int]) -> NDArray[np.complex128]:
        """Return the reduced density matrix of qubits (by the numbers that events have), the first most significant."""
        return await self._lab.thread.do("look", self._oracle().density_matrix(qubits))

    async def fidelity(self, qubits: Sequence[int], target: ArrayLike) -> float:
        """Return <psi|rho|psi> of the qubits with the normalised vector ``target``."""
        vector = np.asarray(target, dtype=np.complex128)
        return await self._lab.thread.do("look", self._oracle().fidelity(qubits, vector))

    def _oracle(self) -> OracleClient:
        if self._lab.oracle is None:
            raise NotOfThisLab(
                f"nobody looks into the quantum world of lab '{self._lab.name}', which was up before"
            )
        return self._lab.oracle
