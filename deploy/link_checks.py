"""What must fit together on a link: a source and the keys of its scheme, pulses and their probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from deploy.complaints import Complaint
from deploy.lookup import at, elements, quantity, table
from deploy.presets import SCHEMES, SOURCES
from deploy.source import KeyPath, Value
from deploy.units import FRACTION, LENGTH

_DARK: Final = {"dark_count", "window"}


def check_links(lab: Value) -> Iterator[Complaint]:
    """Find keys on links that do not go together."""
    for index, link in enumerate(elements(at(lab, "links"))):
        yield from _source(link, ("links", index))
        yield from _pulses(at(link, "qkd"), ("links", index, "qkd"))
        yield from _protocol(link, ("links", index, "qkd"))


def _source(link: Value, here: KeyPath) -> Iterator[Complaint]:
    source = table(at(link, "source"))
    preset = SOURCES.get(str(source.get("hardware")), {})
    scheme = str(source.get("scheme") or preset.get("scheme", "werner"))
    if scheme not in SCHEMES:
        return
    own = {field.name for field in fields(SCHEMES[scheme])} | {"hardware"}
    if "dark_count_probability" in own:
        own |= _DARK
    every = {field.name for kind in SCHEMES.values() for field in fields(kind)} | _DARK
    for key in source:
        if key in every and key not in own:
            what = f"a source with the scheme {scheme} has no {key}"
            yield Complaint((*here, "source", key), f"{what}; it has {', '.join(sorted(own))}", of_key=True)
    if preset and source.get("scheme") not in (None, preset["scheme"]):
        what = f"the hardware {source['hardware']} works by {preset['scheme']}, not by {scheme}"
        yield Complaint((*here, "source", "scheme"), f"{what}; leave out scheme or hardware")
    yield from _dark_counts(source, (*here, "source"), "window")
    alpha = source.get("alpha")
    if {0.0, 1.0} & {quantity(FRACTION, share) for share in elements(alpha) or [alpha]}:
        what = "an alpha of 0 or 1 is no superposition, and a click then entangles nothing"
        yield Complaint((*here, "source", "alpha"), f"{what}; write alpha: 0.1, say")
    length, midpoint = quantity(LENGTH, at(link, "length")), quantity(LENGTH, source.get("midpoint"))
    if length is not None and midpoint is not None and midpoint > length:
        what = f"the midpoint {source['midpoint']} is beyond the end of the fibre"
        yield Complaint((*here, "source", "midpoint"), f"{what}; write midpoint: {length / 2e3:g} km, say")


def _dark_counts(keys: dict[str, Value], here: KeyPath, partner: str | None) -> Iterator[Complaint]:
    if keys.get("dark_count") is not None and keys.get("dark_count_probability") is not None:
        what = "both dark_count and dark_count_probability"
        yield Complaint((*here, "dark_count"), f"{what}; write one of them", of_key=True)
    if partner is None:
        return
    for one, other in (("dark_count", partner), (partner, "dark_count")):
        if keys.get(one) is not None and keys.get(other) is None:
            yield Complaint(
                (*here, one), f"{one} without {other}; write both, or dark_count_probability", of_key=True
            )


def _pulses(qkd: Value, here: KeyPath) -> Iterator[Complaint]:
    yield from _dark_counts(table(at(qkd, "detectors")), (*here, "detectors"), None)
    intensities, shares = at(qkd, "intensities"), at(qkd, "intensity_probabilities")
    if shares is None:
        return
    if len(elements(shares)) != len(elements(intensities)):
        what = f"{len(elements(shares))} probabilities for {len(elements(intensities))} intensities"
        yield Complaint((*here, "intensity_probabilities"), f"{what}; write one for each")
        return
    values = [quantity(FRACTION, share) for share in elements(shares)]
    known = [value for value in values if value is not None]
    if len(known) == len(values) and abs(sum(known) - 1) > 1e-6:
        what = f"the probabilities add up to {sum(known):g}"
        yield Complaint((*here, "intensity_probabilities"), f"{what}; write some that add up to 1")


def _protocol(link: Value, here: KeyPath) -> Iterator[Complaint]:
    """Hold a link to the light that its protocol for keys reckons with."""
    protocol, intensities = at(link, "qkd", "protocol"), len(elements(at(link, "qkd", "intensities")))
    if protocol in ("bbm92", "e91") and at(link, "source") is None:
        what = f"protocol: {protocol} measures pairs, and the link has no source of them"
        advice = "write source: {scheme: pair-source, memories: false, ...}, or protocol: decoy-bb84"
    elif protocol == "decoy-bb84" and intensities not in (2, 3):
        what = (
            f"protocol: decoy-bb84 takes two or three intensities, and the link's pulses have {intensities}"
        )
        advice = "write intensities: [0.5, 0.1, 0.0002], say"
    elif protocol == "bb84" and intensities:
        what = "protocol: bb84 reckons with single photons, and the link's pulses have intensities"
        advice = "leave these out, or write protocol: decoy-bb84 and two or three of them"
    else:
        return
    yield Complaint((*here, "protocol"), f"{what}; {advice}")
