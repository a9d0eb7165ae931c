"""What the lab's control party and the nodes say to each other, over the same bus as everybody.

control                                node
RunOrder          --->                           play a role, or relay, in a run
                  <---                 PartBegun      it has its part; in virtual time, control may let time go on
                  <---                 RoundsPlayed   as rounds end, several at a time
                  <---                 PartPlayed     when all rounds are over, or why they are not
RunOver           --->                           stop if you still play, clean up, forget the run
                  <---                 RunClosed      nothing of the run is left here
ChangeChannels    --->                           messages go other ways from now on, or wait for a partition to heal
                  <---                 ChannelsChanged
EndOthers         --->                           nobody conducts any other runs than these: end them
                  <---                 OthersEnded
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from nodes.runtime.channel import Hop
from nodes.runtime.programs import Scalar

CONTROL = "control"
CONTROLLER = "controller"
"""The routing controller: the lab's own, or a program of somebody else's."""
PROTOCOL = "lab"
VISIT = "visit"
"""In place of a program: the run in which a node of somebody's own acts by itself, from its coming to its leaving."""


@dataclass(frozen=True, slots=True)
class SwapPath:
    """The chain of ``nodes`` along which one pair per round is made for the roles ``first`` and ``last`` at its ends.

    ``index`` tells pairs between the same two roles apart.
    """

    first: str
    last: str
    index: int
    nodes: tuple[str, ...]

    @property
    def service(self) -> str:
        """Name the service that makes this pair, uniquely in its run."""
        return f"{self.first}-{self.last}-{self.index}"


@dataclass(frozen=True, slots=True)
class RunOrder:
    """Play ``role`` of ``program`` (a name or an absolute path) for ``rounds`` rounds; an empty role only relays.

    No rounds at all: a role that yields goes on until the run is called off.

    ``roles`` are (role, node) pairs; ``parameters`` is a JSON object; ``started_at`` is the emulated start time;
    ``deadline`` bounds every single wait in wall seconds. ``network``: the nodes that make pairs on demand in this run;
    one without a role has played its part at once and relays until the run is over. ``source``: the text of the
    program's file, which not every node can read; empty for a program by name. ``process``: the one that the node was
    when it was chosen, as its status names it; another one, to which the broker brings what it had kept, does nothing.
    ``visitor_process``: the same of the node whose visit this is.
    """

    run: str
    program: str
    role: str
    rounds: int
    roles: tuple[tuple[str, str], ...]
    paths: tuple[SwapPath, ...]
    parameters: str
    started_at: float
    deadline: float
    network: tuple[str, ...] = ()
    source: str = ""
    process: str = ""
    visitor_process: str = ""

    @property
    def endless(self) -> bool:
        """Tell whether the run goes on until it is called off."""
        return self.rounds == 0

    @property
    def visitor(self) -> str:
        """Name the node whose visit this is, empty for a run of a program."""
        return self.roles[0][1] if self.program == VISIT else ""

    @property
    def members(self) -> frozenset[str]:
        """Return every party of the run, the control party and the routing controller among them."""
        players = [node for _, node in self.roles]
        relays = [node for path in self.paths for node in path.nodes]
        return frozenset([CONTROL, CONTROLLER, *players, *relays, *self.network])

    @property
    def protocol(self) -> str:
        """Name the program on topics: its stem, with what a topic cannot hold replaced."""
        return re.sub(r"[^A-Za-z0-9_-]", "-", Path(self.program).stem).lstrip("-_")[:64] or "program"

    def given(self) -> dict[str, Scalar]:
        """Return the program's parameters."""
        parameters: dict[str, Scalar] = json.loads(self.parameters)
        return parameters


@dataclass(frozen=True, slots=True)
class PartBegun:
    """This node has its part, and begins it: in virtual mode at the time of the order, as soon as time goes on."""


@dataclass(frozen=True, slots=True)
class RoundsPlayed:
    """What a role returned in some consecutive rounds, each as JSON (see ``nodes.runtime.returns``)."""

    rounds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartPlayed:
    """This node's part is over. ``cause`` is empty, or the name of the error; ``at`` is this node's emulated time."""

    at: float
    cause: str
    message: str


@dataclass(frozen=True, slots=True)
class RunOver:
    """The run is over everywhere; ``reason`` is empty or says why it was called off."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunClosed:
    """This node holds nothing of the run any more; ``discarded`` qubits were left over."""

    discarded: int


@dataclass(frozen=True, slots=True)
class Way:
    """What messages to ``node`` pass: the classical channels of the links, in their order."""

    node: str
    hops: tuple[Hop, ...]


@dataclass(frozen=True, slots=True)
class ChangeChannels:
    """Messages take these ``ways`` from now on; those to ``severed`` nodes wait until another order names them not."""

    ways: tuple[Way, ...]
    severed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChannelsChanged:
    """The order has been carried out; in virtual time the server knows what comes of it."""


@dataclass(frozen=True, slots=True)
class EndOthers:
    """Nobody conducts any other ``runs`` than these, visits among them; ``reason`` says why others are called off."""

    runs: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class OthersEnded:
    """This node holds nothing of other runs any more, but for what a program of one's own still has in its hands."""
