"""Logs hold event records and what programs print."""

from __future__ import annotations

from pathlib import Path

from broker.telemetry import Record, to_json
from deploy.logbook import last_lines, printed, readable

STARTED = to_json(Record("part.started", 1.5, "alice", "run-1", {"role": "alice", "cause": ""}))


def test_a_record_is_written_as_text_and_anything_else_as_it_is() -> None:
    assert readable(STARTED) == "    1.500000 s  part.started   run-1    role=alice"
    assert readable('{"not": "a record"}') == '{"not": "a record"}'


def test_what_a_program_printed_is_told_from_records(tmp_path: Path) -> None:
    log = tmp_path / "alice.log"
    log.write_text(f"{STARTED}\nhello from alice\n{STARTED}\n")
    assert list(printed(log)) == ["hello from alice"]


def test_the_last_lines_of_a_log_that_is_not_there_are_none(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none.log", 3) == []
    (tmp_path / "a.log").write_text("1\n2\n3\n4\n")
    assert last_lines(tmp_path / "a.log", 3) == ["2", "3", "4"]
