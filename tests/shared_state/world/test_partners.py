"""Who mourns whom: the halves of pairs through swap gates, and the runs that nodes have left."""

from __future__ import annotations

from itertools import pairwise

import pytest

from shared_state.clock import VirtualClock
from shared_state.config import FibreConfig, LinkDevices, NodeDevices, WorldConfig
from shared_state.dice import Dice
from shared_state.errors import LimitExceeded, PartnerLost, PeerLeftRun, RunClosed
from shared_state.world.ends import Delivered, Outcome
from shared_state.world.links import Links
from shared_state.world.nature import Nature
from shared_state.world.presence import REMEMBERED, Presence
from shared_state.world.queues import Ticket


class Row:
    """alice - charlie - bob, in run ``run`` at time 0."""

    def __init__(self) -> None:
        names = ("alice", "charlie", "bob")
        links = {f"{a}-{b}": LinkDevices((a, b), FibreConfig(0.0)) for a, b in pairwise(names)}
        world = WorldConfig({name: NodeDevices() for name in names}, links)
        self.nature = Nature(world, VirtualClock(), Dice(1))
        self.settled: dict[Ticket, Outcome] = {}
        self.links = Links(self.nature, self.settled.__setitem__)

    def pair(self, link: str) -> list[int]:
        """Return the qubits of a new pair."""
        qubits = []
        for node in link.split("-"):
            self.links.pairs.pair(node, node, 0.0, "run", link)
        for node in link.split("-"):
            delivered = self.settled[node]
            assert isinstance(delivered, Delivered)
            qubits.append(delivered.qubit)
        return qubits


def test_a_swap_gate_exchanges_the_partners_with_the_states() -> None:
    row = Row()
    hers, left = row.pair("alice-charlie")
    right, his = row.pair("charlie-bob")
    row.nature.gate("charlie", 9.0, "swap", [left, right], [])
    row.links.depart("alice")
    row.nature.discard("charlie", 9.0, left)  # Bob's partner by now
    with pytest.raises(PartnerLost, match=r"alice has departed.*alice-charlie/1"):
        row.nature.measure("charlie", 9.0, right, "Z")
    row.nature.measure("bob", 9.0, his, "Z")
    assert hers != his


def test_a_swap_gate_carries_half_a_pair_to_a_fresh_qubit() -> None:
    row = Row()
    _, left = row.pair("alice-charlie")
    fresh = row.nature.qubit("charlie", 9.0, "run")
    row.nature.gate("charlie", 9.0, "swap", [fresh, left], [])
    row.links.depart("alice")
    row.nature.gate("charlie", 9.0, "swap", [fresh, left], [])  # and the loss goes back with it
    assert row.nature.measure("charlie", 9.0, fresh, "Z").value == 0
    with pytest.raises(PartnerLost):
        row.nature.measure("charlie", 9.0, left, "Z")


def test_a_swap_of_the_two_halves_leaves_them_each_others_partners() -> None:
    row = Row()
    hers, left = row.pair("alice-charlie")
    row.links.light.transmit("alice", 9.0, "run", "alice-charlie", hers)
    row.links.light.receive("r", "charlie", 9.0, "run", "alice-charlie")
    (other,) = (held for held in row.nature.ledger.of_node("charlie") if held.qubit != left)
    row.nature.gate("charlie", 9.0, "swap", [left, other.qubit], [])
    assert other.partner is row.nature.ledger.held_by("charlie", left)
    assert other.partner.partner is other


def test_a_fibre_is_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared_state.world.limits.MAX_PHOTONS", 3)
    row = Row()

    def send(sender: str, link: str) -> None:
        qubit = row.nature.qubit(sender, 9.0, "run")
        try:
            row.links.light.transmit(sender, 9.0, "run", link, qubit)
        except LimitExceeded:
            row.nature.discard(sender, 9.0, qubit)
            raise

    for _ in range(3):
        send("charlie", "charlie-bob")
    with pytest.raises(LimitExceeded, match="3 qubits are on their way to bob"):
        send("charlie", "charlie-bob")
    send("bob", "charlie-bob")
    send("charlie", "alice-charlie")
    row.links.light.receive("r", "bob", 9.0, "run", "charlie-bob")
    send("charlie", "charlie-bob")
    row.links.close_run("bob", "run")  # which absorbs what was on its way
    assert row.links.queues.photons["charlie-bob", "bob"] == 0


def test_a_node_that_leaves_run_after_run_makes_nobody_elses_forgotten() -> None:
    presence = Presence()
    presence.leave("alice", "run")
    for number in range(REMEMBERED + 1):
        presence.leave("mallory", f"run-{number}")
    with pytest.raises(RunClosed):
        presence.check_open("alice", "run")
    with pytest.raises(PeerLeftRun):
        presence.check_peer("mallory", "run-1")
    presence.check_peer("mallory", "run-0")  # its own oldest
    presence.arrive("alice")
    presence.check_open("alice", "run")
