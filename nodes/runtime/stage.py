"""One node's part in one run: supplies what each round's role asks for, plays it, and cleans up behind it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from math import acos, cos, inf, pi, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.agreement import LinkAgreement
from nodes.errors import ProgramInvalid
from nodes.identity import Identity
from nodes.keys.site import Pair, takes_newest
from nodes.keys.store import KeyStore
from nodes.network import swap
from nodes.ports import Coin, Qubit, Rounds, SharedSecret
from nodes.runtime.channel import Channel
from nodes.runtime.clock import RunClock
from nodes.runtime.desk import RequestDesk
from nodes.runtime.key_events import Alarm, tell_of_keys
from nodes.runtime.keys_config import KeysConfig
from nodes.runtime.links import FibreLink
from nodes.runtime.mail import PostOffice
from nodes.runtime.network import NetworkStack
from nodes.runtime.orders import RunOrder, SwapPath
from nodes.runtime.peers import BusPeer
from nodes.runtime.programs import Need, Role, numbered
from nodes.runtime.qubits import Register
from nodes.runtime.returns import pack
from nodes.runtime.stored_keys import Settle, StoredKeys
from shared_state.errors import PeerError, RequestError
from shared_state.wire import Message

StateVector = NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a node knows of the lab around it: by neighbour, the links that carry photons, those that make pairs, and
    the shared secrets; by node, the channels for classical messages.

    ``shortest_delay`` in seconds is that of the lab's shortest link. ``pair_links`` has all links whose pairs are
    stored, by name, with who is at the other end; ``memories`` counts this node's own, which keep a qubit for
    ``cutoff`` seconds. ``agreements``: how keys are made with each neighbour; ``keys``: where they are stored, and
    delivered as ``key_service`` says, ``reproducible`` whether a seed repeats them; ``identity``: what this node signs
    with. ``incarnation`` counts the processes that were this node before. ``severed``: the nodes that are on the other
    side of a partition from the start."""

    name: str
    links: dict[str, str]
    sources: dict[str, str]
    channels: dict[str, Channel]
    secrets: dict[str, bytes] = field(repr=False)
    keys: KeyStore
    key_service: KeysConfig
    identity: Identity
    reproducible: bool
    shortest_delay: float = inf
    pair_links: dict[str, str] = field(default_factory=dict)
    memories: int = 0
    cutoff: float = inf
    agreements: dict[str, LinkAgreement] = field(default_factory=dict)
    incarnation: int = 0
    severed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that one run uses at this node. ``settle`` is its key manager's; ``alarm`` tells its log."""

    order: RunOrder
    surroundings: Surroundings
    register: Register
    office: PostOffice
    clock: RunClock
    coin: Coin
    settle: Settle
    alarm: Alarm
    network: NetworkStack | None = None

    async def play(self, role: Role | None) -> AsyncGenerator[str, None]:
        """Play all rounds; yield what each returned, as ``nodes.runtime.returns`` writes it. A relay yields nothing."""
        if role is not None and role.yields:
            async with aclosing(self._performance(role, f"{self.order.run}:0")) as performance:
                async for returned in performance:
                    yield returned
            return
        for number in range(self.order.rounds):
            session = f"{self.order.run}:{number}"
            returned = await self._round(role, session)
            await self._end_round(session)
            if role is not None:
                yield returned

    async def close(self) -> int:
        """Give up whatever the run still holds here; return how many qubits that were.

        A failure that a posted gate left behind is told by the first answer after it, which may be one of these: the
        run is over, and has failed for another reason.
        """
        discarded = 0
        circuits = [] if self.network is None else self.network.tags()
        for tag in [self.order.run, *(self._tag(path) for path in self.order.paths), *circuits]:
            with suppress(RequestError, PeerError):
                discarded += await self.register.client.close_run(tag)
        return discarded

    async def _round(self, role: Role | None, session: str) -> str:
        relays = [path for path in self.order.paths if self.surroundings.name in path.nodes[1:-1]]
        async with asyncio.TaskGroup() as group:
            for path in relays:
                group.create_task(self._relay(path, session))
            if role is None:
                return ""
            unknown: dict[str, StateVector] = {}
            arguments = await self._supply(role, session, unknown)
            returned = await role.function(**arguments)
            self._tell_of_keys(returned, session)
            return await pack(returned, unknown, self.register)

    async def _performance(self, role: Role, session: str) -> AsyncGenerator[str, None]:
        """Play all rounds in one go, in one session."""
        unknown: dict[str, StateVector] = {}
        arguments = await self._supply(role, session, unknown)
        played = 0
        async with aclosing(role.function(**arguments)) as performance:
            async for returned in performance:
                played += 1
                if played > self.order.rounds and not self.order.endless:
                    break
                self._tell_of_keys(returned, session)
                yield await pack(returned, unknown, self.register)
        if played != self.order.rounds and not self.order.endless:
            raise ProgramInvalid(
                f"role '{role.name}' yields {'more than ' if played > self.order.rounds else 'only '}"
                f"{min(played, self.order.rounds)} times, and {self.order.rounds} rounds are to be played"
            )
        await self._end_round(session)

    async def _end_round(self, session: str) -> None:
        await self.register.discard_rest()
        if self.network is not None:
            self.network.end_round(session)
        self.office.end_round(session)

    def _tell_of_keys(self, returned: object, session: str) -> None:
        """Tell the lab's record, if there is one, and of an alarm the log."""

        def note(event: str, details: dict[str, Message]) -> None:
            if self.register.client.recorded:
                self.register.client.note(self.clock.now(), session, event, details)

        tell_of_keys(returned, note, self.alarm)

    async def _supply(self, role: Role, session: str, unknown: dict[str, StateVector]) -> dict[str, Any]:
        """Make the arguments of one round.

        All halves are asked for at once, so that no two roles wait crosswise; qubits in unknown states are prepared
        when the halves are there, so that they do not age while these are made.
        """
        made_here = ("half", "unknown")
        arguments = {
            need.name: self._simple(need, session) for need in role.needs if need.kind not in made_here
        }
        halves = list(self._halves(role))
        async with asyncio.TaskGroup() as group:
            tasks = {need.name: group.create_task(self._half(path, session)) for need, path in halves}
        for need in role.needs:
            if need.kind == "unknown":
                arguments[need.name], unknown[need.name] = await self._unknown_qubit()
        return arguments | {name: task.result() for name, task in tasks.items()}

    def _simple(self, need: Need, session: str) -> object:
        if need.optional and self._node(need.role) not in self.surroundings.links:
            return None
        match need.kind:
            case "peer":
                return self.peer_in(self._node(need.role), session, self.order.protocol)
            case "peers":
                return {
                    role: self.peer_in(node, session, self.order.protocol)
                    for role, node in self.order.roles
                    if numbered(role, need.role)
                }
            case "link":
                return self._link(self._node(need.role), self.order.run)
            case "keys":
                return self.keys_with(self._node(need.role))
            case "identity":
                return self.surroundings.identity
            case "secret":
                return SharedSecret(self._secret(self._node(need.role)), session)
            case "memory":
                return self.register
            case "clock":
                return self.clock
            case "coin":
                return self.coin
            case "network":
                return self._desk(session)
            case "rounds":
                return Rounds(self.order.rounds)
        return self.order.given().get(need.name, need.default)

    def keys_with(self, node: str) -> StoredKeys:
        """Return the keys in store with a node. They are settled where others use them meanwhile, or not before they
        are combined with another secret."""
        around = self.surroundings
        hybrid = around.key_service.pairs.get(node, Pair()).source == "hybrid"
        settle = self.settle if self.order.endless or hybrid else None
        return StoredKeys(around.keys, node, around.reproducible, takes_newest(around.name, node), settle)

    def _halves(self, role: Role) -> Iterator[tuple[Need, SwapPath]]:
        seen: Counter[str] = Counter()
        for need in role.needs:
            if need.kind == "half":
                ends = {role.name, need.role}
                index = seen[need.role]
                seen[need.role] += 1
                yield (
                    need,
                    next(p for p in self.order.paths if {p.first, p.last} == ends and p.index == index),
                )

    async def _half(self, path: SwapPath, session: str) -> Qubit:
        """Take part in making a pair along ``path`` as one of its ends; the last node applies all corrections."""
        nodes, tag = path.nodes, self._tag(path)
        if nodes[0] == self.surroundings.name:
            return (await self._link(nodes[1], tag).pair()).qubit
        half = (await self._link(nodes[-2], tag).pair()).qubit
        for repeater in nodes[1:-1]:
            half = await swap.bob(half, self.peer_in(repeater, f"{session}:{path.service}", "swap"))
        return half

    async def _relay(self, path: SwapPath, session: str) -> None:
        nodes, tag = path.nodes, self._tag(path)
        here = nodes.index(self.surroundings.name)
        async with asyncio.TaskGroup() as group:
            left = group.create_task(self._link(nodes[here - 1], tag).pair())
            right = group.create_task(self._link(nodes[here + 1], tag).pair())
        await swap.charlie(
            left.result().qubit,
            right.result().qubit,
            self.peer_in(nodes[-1], f"{session}:{path.service}", "swap"),
        )

    async def _unknown_qubit(self) -> tuple[Qubit, StateVector]:
        """Prepare a Haar-random pure state with one gate; return it with its state vector."""
        polar, azimuth = acos(1 - 2 * self.coin.uniform()), 2 * pi * self.coin.uniform()
        phase = np.exp(1j * azimuth)
        state = np.array([cos(polar / 2), phase * sin(polar / 2)])
        qubit = await self.register.qubit()
        qubit.apply(np.array([[state[0], -state[1].conj()], [state[1], state[0].conj()]]))
        return qubit, state

    def _desk(self, session: str) -> RequestDesk:
        assert self.network is not None
        return RequestDesk(
            network=self.network,
            register=self.register,
            clock=self.clock,
            coin=self.coin,
            session=session,
            role=self.order.role,
            nodes=dict(self.order.roles),
            deadline=self.order.deadline,
        )

    def _node(self, role: str) -> str:
        return dict(self.order.roles)[role]

    def _tag(self, path: SwapPath) -> str:
        return f"{self.order.run}/{path.service}"

    def peer_in(self, node: str, session: str, protocol: str) -> BusPeer:
        """Return another node as the other end of a session. Raise ``ProgramInvalid`` where no links lead there."""
        channel = self.surroundings.channels.get(node)
        if channel is None:
            raise ProgramInvalid(f"no chain of links connects '{self.surroundings.name}' and '{node}'")
        return BusPeer(self.office, self.clock, node, session, protocol, channel, self.order.deadline)

    def _link(self, node: str, tag: str) -> FibreLink:
        if node not in self.surroundings.links:
            raise ProgramInvalid(
                f"'{self.surroundings.name}' has no link with '{node}'; it has links with: "
                f"{', '.join(self.surroundings.links) or 'nobody'}"
            )
        return FibreLink(
            register=self.register,
            tag=tag,
            link=self.surroundings.links[node],
            source=self.surroundings.sources.get(node, ""),
            peer=node,
            deadline=self.order.deadline,
            agreement=self.surroundings.agreements.get(node, LinkAgreement()),
        )

    def _secret(self, node: str) -> bytes:
        if node not in self.surroundings.secrets:
            raise ProgramInvalid(
                f"'{self.surroundings.name}' shares no secret with '{node}': no link connects them"
            )
        return self.surroundings.secrets[node]
