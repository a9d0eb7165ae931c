"""The types of the lab file's values: which texts become one, which do not, and the schema for editors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any, Final, TypeAlias

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from deploy.errors import ValueInvalid
from deploy.units import ANGLE, ATTENUATION, FRACTION, FREQUENCY, LENGTH, LOSS, TIME, VELOCITY, Dimension
from deploy.wording import quoted

SPEED_OF_LIGHT: Final = 299_792_458.0
"""Metres per second, in vacuum: exact since 1983."""

RESERVED_NAMES: Final = frozenset({"control", "controller", "monitor", "operator", "broker", "state"})
"""The parties every lab has besides its nodes: who launches it, who may look on, and the two servers."""

_NUMBER: Final = r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, from ``low`` to ``high`` in the dimension's base unit.

    ``closed``: ``low`` itself is allowed.
    """

    dimension: Dimension
    low: float = 0.0
    high: float = inf
    closed: bool = True

    def read(self, text: object) -> float:
        """Return the value in the base unit. Raise ``ValueInvalid``."""
        if not isinstance(text, str):
            raise ValueInvalid(f"not {self.dimension.name}", self.dimension.example)
        value = self.dimension.parse(text)
        if value > self.high:
            raise ValueInvalid(f"{quoted(text)} is too large", f"at most {self._shown(self.high)}")
        if value < self.low or (value == self.low and not self.closed):
            bound = "at least" if self.closed else "more than"
            raise ValueInvalid(f"{quoted(text)} is too small", f"{bound} {self._shown(self.low)}")
        return value

    def _shown(self, value: float) -> str:
        if "" in self.dimension.factors:
            return f"{value:g}"
        return f"{value / self.dimension.factors[self.dimension.customary]:.9g} {self.dimension.customary}"

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic read the value with ``read``."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe the texts that can be read, and bare numbers where they can."""
        units = "|".join(re.escape(unit) for unit in self.dimension.factors if unit)
        text = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*({units})\s*$"}
        if "" not in self.dimension.factors:
            return text
        return {"anyOf": [{"type": "number", "minimum": self.low, "maximum": self.high}, text]}


@dataclass(frozen=True, slots=True)
class PerEnd:
    """One quantity for both ends of a link, or a list of two: the first endpoint's and the second's."""

    quantity: Quantity

    def read(self, written: object) -> tuple[float, float]:
        """Return both values in the base unit. Raise ``ValueInvalid``."""
        if not isinstance(written, list):
            value = self.quantity.read(written)
            return value, value
        if len(written) != 2:
            raise ValueInvalid("neither one value nor a list of two", "[0.1, 0.2]")
        return self.quantity.read(written[0]), self.quantity.read(written[1])

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic read the value with ``read``."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe one quantity, or two."""
        one = self.quantity.__get_pydantic_json_schema__(core, handler)
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 2, "maxItems": 2}]}


@dataclass(frozen=True, slots=True)
class Spelling:
    """A text of a certain form. ``form`` completes "is not ..."; ``reserved`` words are refused, and ``why``."""

    pattern: str
    form: str
    example: str
    reserved: frozenset[str] = frozenset()
    why: str = "is taken by every lab's own parties"

    def read(self, text: object) -> str:
        """Return ``text`` itself. Raise ``ValueInvalid``."""
        if not isinstance(text, str):
            raise ValueInvalid(f"not {self.form}", self.example)
        if text.lower() in self.reserved:
            raise ValueInvalid(f"the name {quoted(text)} {self.why}", "another name")
        if re.fullmatch(self.pattern, text, re.ASCII) is None:
            raise ValueInvalid(f"{quoted(text)} is not {self.form}", self.example)
        return text

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic read the value with ``read``."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe the texts that can be read."""
        return {"type": "string", "pattern": f"^({self.pattern})$"}


NAME_PATTERN: Final = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
_NAME_FORM: Final = "a name (at most 63 letters, digits, - and _, a letter or digit first)"
_HOST: Final = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]"
_PORT: Final = r"6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3}"

Name: TypeAlias = Annotated[str, Spelling(NAME_PATTERN, _NAME_FORM, "alice")]
NodeName: TypeAlias = Annotated[str, Spelling(NAME_PATTERN, _NAME_FORM, "alice", RESERVED_NAMES)]
Broker: TypeAlias = Annotated[
    str,
    Spelling(
        f"auto|embedded|mosquitto|mqtt://({_HOST})(:({_PORT}))?",
        "a broker",
        "auto, embedded, mosquitto or mqtt://host:1883",
    ),
]
HOST: Final = Spelling(
    r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}",
    "the name or address of a host",
    "10.77.0.1",
    frozenset({"0.0.0.0", "::"}),
    "stands for all addresses and is none by which others find this host",
)
Host: TypeAlias = Annotated[str, HOST]
Program: TypeAlias = Annotated[
    str, Spelling(r"[^\x00-\x1f]{1,1000}", "a program", "teleport or ./my_protocol.py")
]

Length: TypeAlias = Annotated[float, Quantity(LENGTH)]
Duration: TypeAlias = Annotated[float, Quantity(TIME)]
Lifetime: TypeAlias = Annotated[float, Quantity(TIME, closed=False)]
Rate: TypeAlias = Annotated[float, Quantity(FREQUENCY, closed=False)]
Attenuation: TypeAlias = Annotated[float, Quantity(ATTENUATION)]
Loss: TypeAlias = Annotated[float, Quantity(LOSS)]
Velocity: TypeAlias = Annotated[float, Quantity(VELOCITY, closed=False, high=SPEED_OF_LIGHT)]
Fraction: TypeAlias = Annotated[float, Quantity(FRACTION, high=1.0)]
Angle: TypeAlias = Annotated[float, Quantity(ANGLE)]
Intensity: TypeAlias = Annotated[float, Quantity(FRACTION, high=100.0)]
"""A mean photon number."""
PerEndFraction: TypeAlias = Annotated[tuple[float, float], PerEnd(Quantity(FRACTION, high=1.0))]
MessageLoss: TypeAlias = Annotated[float, Quantity(FRACTION, high=0.99)]
"""Of messages that are sent again until one arrives: with all of them lost, none would."""
MixedFidelity: TypeAlias = Annotated[float, Quantity(FRACTION, low=0.25, high=1.0)]
"""From 1/4, where nothing is left but the maximally mixed state, to 1."""
