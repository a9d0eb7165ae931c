"""What a section of the lab file is made of: keys that may be left out, each with its meaning and an example."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A mapping with a closed set of keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, written: Any) -> Any:
        if not isinstance(written, dict):
            return written
        return {k: v for k, v in written.items() if v is not None or k not in cls.model_fields}

    def written(self) -> dict[str, Any]:
        """Return the keys that were written, with their values."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def key(meaning: str, example: Any, **constraints: Any) -> Any:
    """Declare a key that may be left out."""
    return Field(default=None, description=meaning, examples=[example], **constraints)


def required(meaning: str, example: Any) -> Any:
    """Declare a key that must be written."""
    return Field(description=meaning, examples=[example])


def section(meaning: str, example: dict[str, Any], default: Section) -> Any:
    """Declare a section within a section."""
    return Field(default=default, description=meaning, examples=[example])


def table(meaning: str, example: dict[str, Any]) -> Any:
    """Declare a table from names to values."""
    return Field(default_factory=dict, description=meaning, examples=[example])
