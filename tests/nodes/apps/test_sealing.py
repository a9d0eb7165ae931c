"""Each segment, their order and their end are authentic."""

from __future__ import annotations

import itertools

import pytest

from nodes.apps import sealing
from nodes.apps.sealing import SegmentCipher
from nodes.errors import TransferFailed

KEY, TRANSFER, HEADER = b"k" * 32, b"t" * 16, b"header"
CONTENTS = [b"first", b"second", b"", b"last"]


def sealed() -> list[bytes]:
    cipher = SegmentCipher(KEY, TRANSFER, HEADER)
    return [cipher.seal(content, last=content == b"last") for content in CONTENTS]


def opened(
    segments: list[bytes], key: bytes = KEY, transfer: bytes = TRANSFER, header: bytes = HEADER
) -> list[bytes]:
    cipher = SegmentCipher(key, transfer, header)
    return [cipher.open(segment, last=number == len(segments) - 1) for number, segment in enumerate(segments)]


def test_segments_open_to_what_was_sealed() -> None:
    assert opened(sealed()) == CONTENTS


def test_every_flipped_bit_is_found() -> None:
    for number, segment in enumerate(sealed()):
        for bit in range(8 * len(segment)):
            altered = bytearray(segment)
            altered[bit // 8] ^= 1 << bit % 8
            segments = sealed()
            segments[number] = bytes(altered)
            with pytest.raises(TransferFailed, match=f"segment {number}"):
                opened(segments)


def test_every_other_order_is_found() -> None:
    for order in itertools.permutations(range(4)):
        if order != (0, 1, 2, 3):
            with pytest.raises(TransferFailed):
                opened([sealed()[number] for number in order])


@pytest.mark.parametrize("kept", [[0, 1, 2], [0], [0, 0, 1, 2, 3], [0, 1, 3], [1, 2, 3]])
def test_a_missing_or_repeated_segment_is_found(kept: list[int]) -> None:
    with pytest.raises(TransferFailed):
        opened([sealed()[number] for number in kept])


def test_segments_open_only_under_their_key_transfer_and_header() -> None:
    with pytest.raises(TransferFailed):
        opened(sealed(), key=b"K" * 32)
    with pytest.raises(TransferFailed):
        opened(sealed(), transfer=b"T" * 16)
    with pytest.raises(TransferFailed):
        opened(sealed(), header=b"Header")


def test_no_nonce_is_used_twice_with_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[bytes, bytes]] = []

    class Recorder:
        def __init__(self, key: bytes) -> None:
            self.key = key

        def encrypt(self, nonce: bytes, content: bytes, header: bytes) -> bytes:
            used.append((self.key, nonce))
            return content

    monkeypatch.setattr(sealing, "AESGCM", Recorder)
    for transfer in range(20):
        cipher = SegmentCipher(KEY, bytes([transfer]) * 16, HEADER)
        for number in range(300):
            cipher.seal(b"", last=number == 299)
    assert len(set(used)) == len(used) == 6000
    assert all(len(nonce) == 12 for _, nonce in used)


def test_the_numbers_end_before_they_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "MOST_SEGMENTS", 2)
    cipher = SegmentCipher(KEY, TRANSFER, HEADER)
    cipher.seal(b"", last=False)
    cipher.seal(b"", last=False)
    with pytest.raises(TransferFailed, match="larger chunks"):
        cipher.seal(b"", last=True)
