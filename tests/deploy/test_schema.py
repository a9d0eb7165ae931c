"""The JSON Schema that editors use is the one the lab file is read with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from deploy import schema
from deploy.topology import shipped


def accepts(text: str) -> bool:
    return Draft202012Validator(schema.schema()).is_valid(yaml.safe_load(text))


def test_the_shipped_schema_is_up_to_date() -> None:
    assert schema.FILE.read_text(encoding="utf-8") == schema.text(), "run: python -m deploy.schema"


def test_the_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(schema.schema())


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_schema_accepts_a_shipped_lab(name: str) -> None:
    assert accepts(shipped()[name].read_text(encoding="utf-8"))


def keys(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Find every key that the schema knows."""
    if isinstance(part, dict):
        for name, key in part.get("properties", {}).items():
            yield f"{path}.{name}", key
        for name, inner in part.items():
            yield from keys(inner, f"{path}.{name}")


def test_every_key_is_described_with_an_example() -> None:
    found = dict(keys(schema.schema()))
    assert len(found) > 40
    assert [path for path, key in found.items() if not (key.get("description") and key.get("examples"))] == []


def test_the_examples_of_the_descriptions_make_a_lab() -> None:
    """Each key's example is what an error message tells the user to write."""
    document = schema.schema()
    for path, key in keys(document):
        assert Draft202012Validator({**key, "$defs": document["$defs"]}).is_valid(key["examples"][0]), path


@pytest.mark.parametrize(
    "text",
    [
        "nodes: {a: , b: {kind: hub, gates: {two_fidelity: 9 %}}}\nlinks: [{endpoints: [a, b], length: 2 km}]",
        "nodes: {a: }\nruntime: {broker: 'mqtt://host:1883', clock: {mode: virtual}}\nseed: 3",
    ],
)
def test_the_schema_accepts_what_the_lab_file_accepts(text: str) -> None:
    assert accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        "nodes: {}",
        "nodes: {a: }\nzzz: 1",
        "nodes: {a: }\nseed: x",
        "nodes: {a b: }",
        "nodes: {a: , b: }\nlinks: [{endpoints: [a, b], length: 20}]",
        "nodes: {a: , b: }\nlinks: [{endpoints: [a, b], length: 20 ms}]",
        "nodes: {a: , b: }\nlinks: [{endpoints: [a], length: 20 km}]",
        "nodes: {a: {gates: {readout_fidelity: 1.5}}}",
        "nodes: {a: }\nruntime: {broker: nats}",
    ],
)
def test_the_schema_refuses_what_the_lab_file_refuses(text: str) -> None:
    assert not accepts(text)
