"""A file that is written whole: its content, its rights, and nothing left of one that could not be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.whole_files import write_whole


@pytest.mark.parametrize("mode", [0o600, 0o644])
@pytest.mark.parametrize("content", ["a text, ü", b"octets \0\xff", ""])
def test_what_is_written_replaces_what_was_there(tmp_path: Path, content: str | bytes, mode: int) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o666)
    write_whole(file, content, mode)
    assert file.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert file.stat().st_mode & 0o777 == mode
    assert list(tmp_path.iterdir()) == [file]


def test_where_nothing_can_be_put_nothing_is_left(tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        write_whole(place, "text")
    assert list(tmp_path.iterdir()) == [place]
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "file", "text")
