"""A lab's devices on the wire: how the oracle says what a link, or an eavesdropper on it, is from now on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from shared_state.config import (
    DetectorConfig,
    DoubleClickSource,
    FibreConfig,
    LinkDevices,
    PhotonPairSource,
    PulseConfig,
    SingleClickSource,
    SourceConfig,
    TapConfig,
    WernerSource,
)
from shared_state.wire import Message

_SOURCES: Final[Mapping[str, type[SourceConfig]]] = {
    "werner": WernerSource,
    "single-click": SingleClickSource,
    "double-click": DoubleClickSource,
    "pair-source": PhotonPairSource,
}
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "strategy": ("intercept-resend", "photon-number-splitting", "beam-splitting"),
    "basis": ("random", "X", "Y", "Z"),
    "encoding": ("polarisation", "time-bin"),
}


def written(devices: LinkDevices | TapConfig) -> dict[str, Message]:
    """Write devices down as a message."""
    return asdict(devices)


def link_devices(value: Message) -> LinkDevices:
    """Read the devices of a link."""
    form = "the devices of a link, as shared_state.devices.written writes them"
    match value:
        case {
            "endpoints": [str(first), str(second)],
            "fibre": dict(fibre),
            "source": dict() | None as source,
            "pulses": {"detectors": dict(detectors), **pulses},
            **others,
        } if not others:
            try:
                seen = DetectorConfig(**_fields(detectors))
                return LinkDevices(
                    (first, second),
                    FibreConfig(**_fields(fibre)),
                    None if source is None else _source(source),
                    PulseConfig(detectors=seen, **_fields(pulses)),
                )
            except (TypeError, KeyError) as error:
                raise ValueError(f"{form} ({error})") from error
    raise ValueError(form)


def tap(value: Message) -> TapConfig:
    """Read an eavesdropper."""
    form = "an eavesdropper, as shared_state.devices.written writes it"
    if not isinstance(value, dict):
        raise ValueError(form)
    try:
        return TapConfig(**_fields(value))
    except TypeError as error:
        raise ValueError(f"{form} ({error})") from error


def differences(old: LinkDevices, new: LinkDevices) -> dict[str, Any]:
    """Return what of a link is another than before: the new values, by names like ``fibre.length``."""
    before, after = dict(_leaves("", asdict(old))), dict(_leaves("", asdict(new)))
    return {name: value for name, value in after.items() if before.get(name) != value}


def _source(value: dict[Any, Any]) -> SourceConfig:
    return _SOURCES[value["scheme"]](**_fields(value))


def _fields(value: Mapping[Any, Any]) -> dict[str, Any]:
    """Return fields for a device: lists as tuples, each word one that is known."""
    found = {str(name): tuple(each) if isinstance(each, list) else each for name, each in value.items()}
    for name in found.keys() & _WORDS.keys():
        if found[name] not in _WORDS[name]:
            raise ValueError(f"of devices that exist: {name} is one of {', '.join(_WORDS[name])}")
    return found


def _leaves(prefix: str, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        if isinstance(each, dict):
            yield from _leaves(f"{prefix}{name}.", each)
        else:
            yield prefix + name, each
