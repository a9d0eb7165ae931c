"""A link of a lab that is up is patched in the words of the lab file: what is not named stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.errors import UsageError
from deploy.lab import Lab, Link
from deploy.link_changes import CHANGEABLE, changed, changes_between
from shared_state.config import SingleClickSource, WernerSource

if TYPE_CHECKING:
    from tests.deploy.conftest import ReadLab

HEAD = "name: lab\nnodes: {a: , b: }\nlinks:\n"
FULL = (
    "  - {name: ab, endpoints: [a, b], length: 20 km, fibre: urban, insertion_loss: 1 dB, velocity: 200000 km/s, "
    "classical: {extra_delay: 1 ms, jitter: 2 ms, loss: 1 %}, source: {rate: 5 kHz, fidelity: 0.97}, "
    "qkd: {pulse_rate: 10 MHz, misalignment: 1 %, detectors: {efficiency: 0.5, dark_count: 100 Hz}}}"
)
EXAMPLES = {
    "length": "40 km",
    "attenuation": "0.3 dB/km",
    "fibre": "deployed",
    "insertion_loss": "3 dB",
    "velocity": "190000 km/s",
    "classical.extra_delay": "10 ms",
    "classical.jitter": "1 ms",
    "classical.loss": "5 %",
    "source.rate": "1 kHz",
    "source.fidelity": "0.9",
    "qkd.misalignment": "2 %",
    "qkd.visibility": "0.9",
    "qkd.detectors.efficiency": "0.3",
    "qkd.detectors.dark_count": "1 kHz",
    "qkd.detectors.dark_count_probability": "0.0001",
    "qkd.detectors.dead_time": "50 ns",
    "qkd.detectors.afterpulse_probability": "1 %",
}


def link_of(read: ReadLab, text: str) -> Link:
    """The only link of a lab file."""
    lab: Lab = read(HEAD + text)
    (link,) = lab.links.values()
    return link


@pytest.mark.parametrize("key", EXAMPLES)
def test_a_change_is_what_a_lab_file_with_that_key_says(read: ReadLab, key: str) -> None:
    """As if the key had been edited in the file, the others left alone."""
    bare = "  - {endpoints: [a, b], length: 20 km, source: {rate: 5 kHz}, qkd: {pulse_rate: 10 MHz}"
    *sections, last = key.split(".")
    value = f"{last}: {EXAMPLES[key]}"
    match sections:
        case []:
            edited = bare.replace("length: 20 km", value) if key == "length" else f"{bare}, {value}"
        case ["source"]:
            edited = bare.replace("rate: 5 kHz", value if last == "rate" else f"rate: 5 kHz, {value}")
        case ["qkd"]:
            edited = bare.replace("10 MHz", f"10 MHz, {value}")
        case ["classical"]:
            edited = f"{bare}, classical: {{{value}}}"
        case _:
            edited = bare.replace("10 MHz", f"10 MHz, detectors: {{{value}}}")
    found = changed(link_of(read, bare + "}"), {key: EXAMPLES[key]})
    assert found == link_of(read, edited + "}")
    assert changes_between(link_of(read, bare + "}"), found) == (key,)


def test_what_is_not_named_stays(read: ReadLab) -> None:
    full = link_of(read, FULL)
    new = changed(full, {"length": "40 km"})
    assert new.length == 40e3
    assert changed(new, {"length": "20 km"}) == full
    assert (
        changed(changed(new, {"classical.loss": "5 %"}), {"length": "20 km", "classical.loss": "1 %"}) == full
    )
    assert full.written["length"] == "20 km"  # the file's own words are as before


def test_who_says_it_in_another_way_takes_the_first_one_back(read: ReadLab) -> None:
    full = link_of(read, FULL)
    new = changed(full, {"attenuation": "0.3 dB/km", "qkd.detectors.dark_count_probability": "0.001"})
    assert new.devices.fibre.attenuation_db_per_km == 0.3
    assert new.devices.pulses.detectors.dark_count_probability == 0.001
    assert changed(new, {"fibre": "urban"}).devices.fibre == full.devices.fibre
    assert changes_between(full, new) == (
        "attenuation",
        "fibre",
        "qkd.detectors.dark_count",
        "qkd.detectors.dark_count_probability",
    )


def test_a_link_that_does_all_goes_on_doing_so(read: ReadLab) -> None:
    new = changed(link_of(read, "  - {endpoints: [a, b], length: 1 km}"), {"qkd.misalignment": "3 %"})
    assert new.devices.source == WernerSource()
    assert new.devices.pulses.misalignment == 0.03


def test_both_ends_may_differ(read: ReadLab) -> None:
    link = link_of(read, "  - {endpoints: [a, b], length: 1 km, source: {scheme: single-click}}")
    source = changed(link, {"source.alpha": "[0.1, 0.2]", "source.emission": "0.5"}).devices.source
    assert isinstance(source, SingleClickSource)
    assert (source.alpha, source.emission) == ((0.1, 0.2), (0.5, 0.5))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "nothing is to be changed; say what, such as length='40 km'"),
        ({"lenght": "40 km"}, "unknown key of a link 'lenght'; did you mean 'length'?"),
        ({"clasical.loss": "5 %"}, "did you mean 'classical.loss'?"),
        ({"source.fidelty": "0.9"}, "did you mean 'source.fidelity'?"),
        ({"qkd.detectors.eficiency": "1"}, "did you mean 'qkd.detectors.efficiency'?"),
        (
            {"classical": "5 %"},
            "classical is a section of several keys; write one of classical.extra_delay, ",
        ),
        ({"length": "40"}, "length: '40' has no unit; write length: 40 km"),
        ({"length": "40 mi"}, "'mi' is not a unit of a length"),
        ({"length": "-3 km"}, "negative"),
        ({"length": "1e999 km"}, "too large"),
        ({"length": ""}, "is not a length"),
        ({"classical.loss": "100 %"}, "in classical, loss: '100 %' is too large; write loss: at most 0.99"),
        ({"classical.extra_delay": "soon"}, "in classical, extra_delay: 'soon' is not a time"),
        (
            {"source.fidelity": "0.1"},
            "in source, fidelity: '0.1' is too small; write fidelity: at least 0.25",
        ),
        ({"source.alpha": "0.1"}, "a source with the scheme werner has no alpha"),
        ({"source.alpha": "[0.1"}, "'[0.1' is no list; write '[0.1, 0.2]'"),
        (
            {"source.scheme": "double-click"},
            "source.scheme of link 'ab' cannot be changed while the lab is up",
        ),
        ({"endpoints": "[a, c]"}, "endpoints of link 'ab' cannot be changed"),
        ({"qkd.protocol": "e91"}, "qkd.protocol of link 'ab' cannot be changed"),
        ({"fibre": "copper"}, "fibre: 'copper' is not "),
        ({"length": "5 km", "insertion_loss": "1 km"}, "insertion_loss: 'km' is not a unit of a loss"),
    ],
)
def test_what_the_lab_file_would_not_take_is_refused_in_the_same_words(
    read: ReadLab, changes: dict[str, str], says: str
) -> None:
    with pytest.raises(UsageError) as refused:
        changed(link_of(read, FULL), changes)
    assert says in str(refused.value)


def test_a_link_without_a_source_gets_none(read: ReadLab) -> None:
    link = link_of(read, "  - {endpoints: [a, b], length: 1 km, qkd: {protocol: bb84}}")
    with pytest.raises(
        UsageError, match="link 'a-b' has no source of pairs, whose fidelity could be changed"
    ):
        changed(link, {"source.fidelity": "0.9"})


def test_a_midpoint_beyond_the_end_is_refused(read: ReadLab) -> None:
    text = "  - {endpoints: [a, b], length: 10 km, source: {scheme: double-click, midpoint: 8 km}}"
    with pytest.raises(UsageError, match="the midpoint 8 km is beyond the end of the fibre"):
        changed(link_of(read, text), {"length": "5 km"})


def test_no_key_that_nodes_rely_on_can_be_changed() -> None:
    for key in ("qkd.intensities", "qkd.pulse_rate", "qkd.block", "source.memories", "name", "weight"):
        assert key not in CHANGEABLE
    assert set(EXAMPLES) < set(CHANGEABLE)
