"""Changes to a link of a lab that is up, as a patch of what the lab file says of it: what is not named stays.

Keys are those of the lab file, a section's joined by a dot, and so are values, checks and complaints. What the nodes
have been told when they began, a protocol or the scheme of a source, cannot be changed under them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError

from deploy.complaints import Complaint, complaint
from deploy.errors import LabFileInvalid, UsageError
from deploy.lab import Link
from deploy.link_checks import check_links
from deploy.link_keys import ClassicalKeys, DetectorKeys, LinkKeys, QkdKeys, SourceKeys
from deploy.resolution import link_of
from deploy.section import Section
from deploy.source import Value, parse
from deploy.wording import one_of, quoted, unknown

Written = Mapping[str, Any]
"""A link as the lab file says it: texts, lists and mappings by key."""

_SECTIONS: Final[Mapping[str, type[Section]]] = {
    "classical": ClassicalKeys,
    "source": SourceKeys,
    "qkd": QkdKeys,
    "qkd.detectors": DetectorKeys,
}
_AGREED: Final = (
    "name", "endpoints", "weight", "source.hardware", "source.scheme", "source.memories",
    *(f"qkd.{name}" for name in QkdKeys.model_fields if name not in ("misalignment", "visibility", "detectors")),
)  # fmt: skip
_ALTERNATIVES: Final[Mapping[str, tuple[str, ...]]] = {
    "attenuation": ("fibre",),
    "fibre": ("attenuation",),
    "source.dark_count": ("source.dark_count_probability",),
    "source.dark_count_probability": ("source.dark_count", "source.window"),
    "qkd.detectors.dark_count": ("qkd.detectors.dark_count_probability",),
    "qkd.detectors.dark_count_probability": ("qkd.detectors.dark_count",),
}
"""Ways to say the same: who says it in one takes back the other."""


def _keys() -> Iterator[str]:
    yield from (key for key in LinkKeys.model_fields if key not in _SECTIONS)
    for prefix, section in _SECTIONS.items():
        yield from (f"{prefix}.{key}" for key in section.model_fields if f"{prefix}.{key}" not in _SECTIONS)


CHANGEABLE: Final = tuple(key for key in _keys() if key not in _AGREED)
"""The keys of a link that can be changed while the lab is up."""


def changed(link: Link, changes: Mapping[str, str]) -> Link:
    """Return a link with these changes.

    Raise ``UsageError`` for a key that there is not, or that cannot be changed, and for a value that the lab file would
    not take.
    """
    if not changes:
        raise UsageError(f"nothing is to be changed; say what, such as length='40 km': {one_of(CHANGEABLE)}")
    written: dict[str, Any] = deepcopy(dict(link.written))
    for key, value in changes.items():
        _check_key(link, key)
        for other in _ALTERNATIVES.get(key, ()):
            _put(written, other, None)
        _put(written, key, _read(value))
    return _resolved(link, written)


def changes_between(old: Link, new: Link) -> tuple[str, ...]:
    """Return the keys under which two versions of a link say different things."""
    return tuple(key for key in _keys() if _get(old.written, key) != _get(new.written, key))


def _check_key(link: Link, key: str) -> None:
    if key in _SECTIONS:
        inner = [name for name in CHANGEABLE if name.startswith(f"{key}.")]
        raise UsageError(f"{key} is a section of several keys; {one_of(inner)}")
    if key in _AGREED:
        raise UsageError(
            f"{key} of link {quoted(link.name)} cannot be changed while the lab is up, for its nodes rely on it: "
            "change the lab file, and bring the lab up anew"
        )
    if key not in CHANGEABLE:
        raise UsageError(unknown("key of a link", key, CHANGEABLE))
    if key.startswith("source.") and link.devices.source is None:
        raise UsageError(
            f"link {quoted(link.name)} has no source of pairs, whose {key.partition('.')[2]} could be "
            "changed; give it one in the lab file"
        )


def _read(value: str) -> Value:
    """Read a value as the lab file would; only a list needs that, everything else is its text."""
    if not value.lstrip().startswith("["):
        return value
    try:
        return parse("the change", value).value
    except LabFileInvalid as error:
        raise UsageError(f"{quoted(value)} is no list; write '[0.1, 0.2]'") from error


def _resolved(link: Link, written: Written) -> Link:
    complaints = list(check_links({"links": [dict(written)]}))
    try:
        keys = LinkKeys.model_validate(written)
    except ValidationError as error:
        complaints += [
            complaint({**each, "loc": ("links", 0, *each["loc"])}) for each in error.errors(include_url=False)
        ]
    if complaints:
        told = "; ".join(dict.fromkeys(_told(each) for each in complaints))
        raise UsageError(f"link {quoted(link.name)}: {told}")
    new = link_of(keys, written)
    if new.devices.source is None:  # a link without a word on pairs and keys does all, and goes on doing so
        new = replace(new, devices=replace(new.devices, source=link.devices.source))
    return new


def _told(complained: Complaint) -> str:
    section = ".".join(str(step) for step in complained.path[2:-1])
    return f"in {section}, {complained.message}" if section else complained.message


def _put(written: dict[str, Any], key: str, value: Value) -> None:
    section, _, rest = key.partition(".")
    if rest:
        inner = dict(written.get(section) or {})
        _put(inner, rest, value)
        written[section] = inner
    elif value is None:
        written.pop(key, None)
    else:
        written[key] = value


def _get(written: Written, key: str) -> Any:
    section, _, rest = key.partition(".")
    inner = written.get(section)
    return (_get(inner, rest) if isinstance(inner, dict) else None) if rest else inner
