from __future__ import annotations

import io
import json
import math

import pytest

from broker.telemetry import JsonLinesSink, ListSink, Record, to_json

RECORD = Record("qubit.teleported", 1.5, "alice", "run-1", {"fidelity": 0.9, "to": "bob"})


def test_a_record_is_one_line_with_stable_keys() -> None:
    assert to_json(RECORD) == (
        '{"name":"qubit.teleported","time":1.5,"node":"alice","session":"run-1",'
        '"fields":{"fidelity":0.9,"to":"bob"}}'
    )


def test_a_file_of_records_is_read_line_by_line() -> None:
    file = io.StringIO()
    sink = JsonLinesSink(file)
    sink.record(RECORD)
    sink.record(Record("text", 2.0, "bob", fields={"text": "two\nlines, élan"}))
    assert [json.loads(line)["node"] for line in file.getvalue().splitlines()] == ["alice", "bob"]


def test_bytes_stay_out_of_records() -> None:
    with pytest.raises(TypeError):
        to_json(Record("key.made", 0.0, "alice", fields={"key": b"secret"}))


def test_a_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(Record("rate", 0.0, "alice", fields={"rate": math.inf}))


def test_a_list_sink_keeps_the_order() -> None:
    sink = ListSink()
    sink.record(RECORD)
    sink.record(Record("second", 2.0, "alice"))
    assert sink.names() == ["qubit.teleported", "second"]
