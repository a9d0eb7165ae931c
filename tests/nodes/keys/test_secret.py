"""A secret shows itself to ``reveal`` only; what is wrapped opens in its own place only."""

from __future__ import annotations

import copy
import pickle
import traceback
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.codec import joined
from nodes.keys.errors import StoreCorrupted
from nodes.keys.secret import Secret
from nodes.keys.service import DeliveredKey
from nodes.keys.wrapping import Wrapper, new_salt

OCTETS = b"correct horse battery"


def test_a_secret_shows_nothing_of_itself() -> None:
    secret = Secret(OCTETS)
    shown = f"{secret} {secret!r} {secret:>50} {DeliveredKey('id', secret, False)}"
    assert "horse" not in shown
    assert repr(secret) == "<Secret of 21 bytes>"
    assert secret.reveal() == OCTETS
    for leak in (pickle.dumps, copy.copy, copy.deepcopy, hash):
        with pytest.raises(TypeError) as refused:
            leak(secret)
        assert "horse" not in "".join(traceback.format_exception(refused.value))


def test_secrets_compare_by_their_bytes_and_wipe_to_zeros() -> None:
    one, same, another = Secret(OCTETS), Secret(OCTETS), Secret(OCTETS[1:])
    assert one == same
    assert one != another
    assert one != OCTETS
    one.wipe()
    assert one.reveal() == bytes(21)
    assert same.reveal() == OCTETS


@settings(deadline=None)
@given(st.binary(max_size=64), st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_wrapped_unit_opens_under_its_index_only(secret: bytes, index: int, another: int) -> None:
    wrapper = Wrapper(bytes(32), bytes(16), "pool", "block")
    wrapped = wrapper.wrap(index, secret)
    assert wrapper.unwrap(index, wrapped) == secret
    if another != index:
        with pytest.raises(StoreCorrupted):
            wrapper.unwrap(another, wrapped)


@dataclass(frozen=True)
class Place:
    kek: bytes = bytes(32)
    salt: bytes = bytes(16)
    pool: str = "pool"
    block: str = "block"

    def wrapper(self) -> Wrapper:
        return Wrapper(self.kek, self.salt, self.pool, self.block)


@pytest.mark.parametrize(
    "place",
    [
        Place(kek=bytes(31) + b"\1"),
        Place(salt=bytes(15) + b"\1"),
        Place(pool="poo"),
        Place(block="lblock"),
        Place(pool="poolb", block="lock"),
    ],
)
def test_nothing_wrapped_elsewhere_opens_here(place: Place) -> None:
    with pytest.raises(StoreCorrupted):
        Place().wrapper().unwrap(0, place.wrapper().wrap(0, OCTETS))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=4)), st.lists(st.binary(max_size=4)))
def test_different_parts_are_never_joined_alike(parts: list[bytes], others: list[bytes]) -> None:
    assert (joined(*parts) == joined(*others)) == (parts == others)


def test_salts_do_not_come_twice() -> None:
    assert len({new_salt() for _ in range(100)}) == 100
