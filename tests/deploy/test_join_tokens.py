"""The tokens of a lab: each is good for one node, once; who guesses waits."""

from __future__ import annotations

import pytest

from deploy.join_tokens import JoinTokens, Verdict
from deploy.reluctance import LONGEST, SHORTEST, Reluctance
from nodes.errors import JoinRefused
from nodes.runtime.join_token import SECRET_BYTES, JoinToken, fingerprint_of, parse
from nodes.runtime.joining import parse_address


def test_a_secret_is_good_once_and_for_its_node_only() -> None:
    tokens = JoinTokens()
    alices, bobs = tokens.issue("alice"), tokens.issue("bob")
    assert tokens.redeem("bob", alices) is Verdict.OF_ANOTHER
    assert tokens.redeem("alice", alices) is Verdict.WELCOME
    assert tokens.redeem("alice", alices) is Verdict.USED
    assert tokens.redeem("bob", alices) is Verdict.USED
    assert tokens.redeem("bob", bobs) is Verdict.WELCOME


def test_a_node_may_have_several_and_what_was_not_issued_is_wrong() -> None:
    tokens = JoinTokens()
    first, second = tokens.issue("alice"), tokens.issue("alice")
    assert tokens.redeem("alice", second) is tokens.redeem("alice", first) is Verdict.WELCOME
    for wrong in (b"", bytes(SECRET_BYTES), first[:-1], first + b"\0"):
        assert tokens.redeem("alice", wrong) is Verdict.WRONG
    assert JoinTokens().redeem("alice", first) is Verdict.WRONG


def test_the_tokens_hold_no_secret() -> None:
    tokens = JoinTokens()
    secret = tokens.issue("alice")
    assert secret not in tokens._nodes
    assert secret.hex() not in repr(vars(tokens))


def test_who_is_wrong_waits_the_longer_the_oftener_and_nobody_else_does() -> None:
    reluctance = Reluctance()
    waits = [reluctance.wrong("10.0.0.1") for _ in range(40)]
    assert waits[0] == SHORTEST
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST
    assert reluctance.wrong("10.0.0.2") == SHORTEST
    reluctance.right("10.0.0.1")
    assert reluctance.wrong("10.0.0.1") == SHORTEST


def test_only_so_many_addresses_are_remembered() -> None:
    reluctance = Reluctance()
    for number in range(5000):
        reluctance.wrong(f"host-{number}")
    assert len(reluctance._wrong) < 2000


def test_a_token_is_read_as_it_was_written_and_knows_its_lab() -> None:
    token = JoinToken(bytes(range(SECRET_BYTES)), fingerprint_of(b"certificate"))
    assert parse(f" {token}\n") == token
    assert len(str(token)) == 68
    assert token.is_of(b"certificate")
    assert not token.is_of(b"another")
    assert token.secret.hex() not in repr(token)


@pytest.mark.parametrize(
    "text", ["", "bw1-", "bw1-AAAA", "bw2-" + "A" * 64, "bw1-" + "A" * 63, "bw1-" + "é" * 64]
)
def test_what_is_no_token_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(JoinRefused, match="this is no token to join by") as refused:
        parse(text)
    assert len(text) < 5 or text not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("10.77.0.1:7085", ("10.77.0.1", 7085)),
        ("lab.example:1", ("lab.example", 1)),
        ("[fd00::1]:65535", ("fd00::1", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(address: str, found: tuple[str, int]) -> None:
    assert parse_address(address) == found


@pytest.mark.parametrize(
    "address",
    ["", "10.77.0.1", "10.77.0.1:", ":7085", "host:0", "host:65536", "a b:1", "fd00::1:7085", "https://h:1"],
)
def test_what_is_no_address_is_refused_with_the_form(address: str) -> None:
    with pytest.raises(JoinRefused, match="write HOST:PORT"):
        parse_address(address)
