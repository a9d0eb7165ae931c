"""The stores of two nodes against a model: whatever is done in whatever order, no unit serves twice."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nodes.keys.errors import BlockRepeated, KeysExhausted, UnitsUnknown, UnknownKeyIds
from nodes.keys.held import Claim
from nodes.keys.secret import Secret
from nodes.keys.store import KeyStore
from nodes.keys.units import Held, Taken, Unit, units_for
from tests.nodes.keys.key_lab import KEK, key_of_units

ENDS = ("alice", "bob")
end = st.sampled_from(ENDS)


class TwoStores(RuleBasedStateMachine):
    """``here[end]`` are the units that the end should have, ``given[end]`` those that it gave away: bytes by name."""

    def __init__(self) -> None:
        super().__init__()
        self.stores = {end: KeyStore(None, KEK) for end in ENDS}
        self.here: dict[str, dict[Unit, bytes]] = {end: {} for end in ENDS}
        self.given: dict[str, dict[Unit, bytes]] = {end: {} for end in ENDS}
        self.blocks = 0
        self.unanswered: list[tuple[str, Taken, int]] = []
        self.waiting: dict[str, bytes] = {}

    def teardown(self) -> None:
        for store in self.stores.values():
            store.close()

    @rule(units=st.integers(0, 6))
    def deposit_at_both_ends(self, units: int) -> None:
        name = f"block-{self.blocks}"
        self.blocks += 1
        key = key_of_units(units, name) + b"left over"
        for own, peer in (ENDS, ENDS[::-1]):
            assert self.stores[own].deposit(peer, name, key, "qkd", False) == units
            self.here[own] |= {Unit(name, i): key[32 * i : 32 * i + 32] for i in range(units)}

    @rule(own=end, number=st.integers(0, 100))
    def deposit_again(self, own: str, number: int) -> None:
        if self.blocks:
            try:
                self.stores[own].deposit(other(own), f"block-{number % self.blocks}", bytes(64), "qkd", False)
            except BlockRepeated:
                return
            raise AssertionError("a block came twice")

    @rule(own=end, size=st.integers(1, 70), count=st.integers(1, 3))
    def take(self, own: str, size: int, count: int) -> None:
        wanted = units_for(size) * count
        try:
            taken = self.stores[own].take(other(own), size, count, newest=own == "bob")
        except KeysExhausted:
            assert wanted > len(self.here[own])
            return
        for one in taken:
            self._give(own, one, size)
            self.unanswered.append((own, one, size))

    @rule(index=st.integers(0, 100), answer_lost=st.booleans())
    def redeem(self, index: int, answer_lost: bool) -> None:
        if not self.unanswered:
            return
        own, taken, size = self.unanswered.pop(index % len(self.unanswered))
        if answer_lost:
            self.unanswered.append((own, taken, size))
        peer = other(own)
        try:
            redeemed = self.stores[peer].redeem(own, taken.units, size)
        except UnitsUnknown:
            assert not self.here[peer].keys() >= set(taken.units)
            return
        assert redeemed.secret == taken.secret
        self._give(peer, redeemed, size)

    @rule(index=st.integers(0, 100))
    def restore(self, index: int) -> None:
        if self.unanswered:
            own, taken, _ = self.unanswered.pop(index % len(self.unanswered))
            self.stores[own].restore(other(own), [taken])
            for unit in taken.units:
                self.here[own][unit] = self.given[own].pop(unit)

    @rule(own=end, number=st.integers(0, 100))
    def discard(self, own: str, number: int) -> None:
        name = f"block-{number % (self.blocks + 1)}"
        left = {unit for unit in self.here[own] if unit.block == name}
        assert self.stores[own].discard(other(own), name) == len(left)
        for unit in left:
            del self.here[own][unit]

    @rule(octets=st.binary(min_size=1, max_size=40))
    def hold(self, octets: bytes) -> None:
        name = f"key-{len(self.waiting)}"
        claim = Claim("bob", "master", ("slave",), 0.0)
        assert self.stores["alice"].hold([Held(name, Secret(octets), False)], claim, 1000)
        self.waiting[name] = octets

    @rule(index=st.integers(0, 100))
    def release(self, index: int) -> None:
        name = f"key-{index}"
        try:
            (held,) = self.stores["alice"].release([name], "master", "slave", 1.0)
        except UnknownKeyIds:
            assert not self.waiting.get(name)
            return
        assert held.secret.reveal() == self.waiting[name]
        self.waiting[name] = b""

    @invariant()
    def what_is_left_is_what_was_never_given(self) -> None:
        for own in ENDS:
            assert self.stores[own].level(other(own)).units == len(self.here[own])
            assert not self.here[own].keys() & self.given[own].keys()

    def _give(self, own: str, taken: Taken, size: int) -> None:
        octets = b"".join(self.here[own][unit] for unit in taken.units)  # KeyError: it was given before
        assert taken.secret.reveal() == octets[:size]
        for unit in taken.units:
            assert unit not in self.given[own]
            self.given[own][unit] = self.here[own].pop(unit)


def other(own: str) -> str:
    """Return the other end."""
    return ENDS[own == "alice"]


TestTwoStores = TwoStores.TestCase
TestTwoStores.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
