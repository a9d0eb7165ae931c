"""The JSON Schema of the lab file, for editors: ``python -m deploy.schema`` writes it to ``schema.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from deploy.labfile import LabFile

FILE: Final = Path(__file__).with_name("schema.json")


class _AsWritten(GenerateJsonSchema):
    """Leaves out pydantic's defaults: null means "not written", and the descriptions say what applies.

    A table takes no names but those that match its pattern.
    """

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        table = super().dict_schema(schema)
        return {**table, "additionalProperties": False} if "patternProperties" in table else table


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that a lab file, read as YAML 1.2, complies with."""
    generated = LabFile.model_json_schema(schema_generator=_AsWritten)
    return {"$schema": GenerateJsonSchema.schema_dialect, **generated, "title": "Bellwire lab file"}


def text() -> str:
    """Return the content of ``schema.json``."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
