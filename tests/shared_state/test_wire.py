"""Frames survive any splitting, and garbage is refused before it costs memory."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_state.conversation import Conversation
from shared_state.errors import LimitExceeded, WireError
from shared_state.wire import MAX_FRAME, MAX_REQUEST, Decoder, Message, encode

messages = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(messages, max_size=6), st.lists(st.integers(1, 40), min_size=1))
def test_however_a_stream_is_cut_the_same_messages_arrive(sent: list[Message], reads: list[int]) -> None:
    stream = b"".join(encode(message) for message in sent)
    decoder = Decoder()
    received: list[Message] = []
    at, turn = 0, 0
    while at < len(stream):
        size = reads[turn % len(reads)]
        received += decoder.messages(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert received == sent


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_wire_errors(data: bytes) -> None:
    with suppress(WireError):
        list(Decoder().messages(data))


@given(st.binary(max_size=200))
def test_a_frame_of_random_bytes_raises_nothing_but_a_wire_error(body: bytes) -> None:
    with suppress(WireError):
        list(Decoder().messages(len(body).to_bytes(4, "big") + body))


def test_a_length_of_one_gibibyte_is_refused_before_memory_is_taken() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="1073741824"):
            list(Decoder().messages((2**30).to_bytes(4, "big") + b"x" * 100))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"\x91" * 100_000,  # nested lists without an end
        b"\xdd\xff\xff\xff\xff",  # a list of 2^32-1 elements, none of them there
        b"\xc6\xff\xff\xff\xff",  # as many bytes, none of them there
        msgpack.packb(msgpack.ExtType(1, b"code")),
        msgpack.packb(msgpack.Timestamp(1)),
        msgpack.packb({1: 2}),
        b"\xc0\xc0",  # two objects in one frame
        b"\xa2\xff\xfe",  # not UTF-8
        b"",
    ],
)
def test_a_frame_beyond_the_limits_is_a_wire_error(body: bytes) -> None:
    with pytest.raises(WireError):
        list(Decoder().messages(len(body).to_bytes(4, "big") + body))


def test_messages_before_the_garbage_are_heard() -> None:
    decoder = Decoder()
    stream = decoder.messages(encode("good") + b"\xff" * 8)
    assert next(stream) == "good"
    with pytest.raises(WireError):
        next(stream)


def test_a_message_that_is_too_large_is_refused_by_its_sender() -> None:
    with pytest.raises(LimitExceeded, match="in parts"):
        encode(b"x" * (MAX_FRAME + 1))


def test_a_client_is_told_that_its_request_is_too_large() -> None:
    conversation = Conversation(lab="lab", name="alice", token="a", role="node")
    with pytest.raises(LimitExceeded, match="exceeds the limit"):
        conversation.request("unitary", [0.0, bytes(MAX_REQUEST), [0]])
    assert conversation.unapplied == 0
