"""One control party after the other: what each has begun has names of its own, and a later one ends what is left of it.

control                                node
EndOthers         --->                           end all runs but these: nobody conducts them any more
                  <---                 OthersEnded    nothing of them is left here

The shared-state server counts the control parties of its lab. The first one calls its runs ``run-1``, ``run-2``, the
second one ``run-2.1``, ``run-2.2``: a node that has played a run knows that it is over, and drops what comes for it.
Where others start the processes of a lab in real time, the server may be another one, too, which counts anew, while
the broker keeps messages: there the names have a mark, ``run-5f0c9a3e-1``.
"""

from __future__ import annotations

from collections.abc import Collection

from nodes.runtime.instructing import instruct
from nodes.runtime.mail import PostOffice
from nodes.runtime.orders import EndOthers
from shared_state.oracle import OracleClient


class Succession:
    """The place of the control party that uses ``office`` and ``oracle`` among those of its lab.

    ``mark``: what no other control party has, empty where counting is enough.
    """

    def __init__(self, office: PostOffice, oracle: OracleClient, mark: str) -> None:
        self._office = office
        self._oracle = oracle
        self._mark = mark
        self._before: int | None = None
        self._sessions = 0

    async def before(self) -> int:
        """Return how many control parties the lab has had before; what they did to its links is undone by that."""
        if self._before is None:
            self._before = await self._oracle.take_over()
        return self._before

    async def name(self, kind: str, number: int) -> str:
        """Name a session of this control party's, as no other one does."""
        before = await self.before()
        if self._mark:
            return f"{kind}-{self._mark}-{number}"
        return f"{kind}-{before + 1}.{number}" if before else f"{kind}-{number}"

    async def end_others(self, nodes: Collection[str], runs: Collection[str], reason: str) -> set[str]:
        """Let ``nodes`` end all runs but ``runs``; return those that have gone, or have not done so within 10 s."""
        self._sessions += 1
        session = await self.name("succession", self._sessions)
        order = EndOthers(tuple(sorted(runs)), reason)
        return await instruct(self._office, session, dict.fromkeys(nodes, order), 0.0)
