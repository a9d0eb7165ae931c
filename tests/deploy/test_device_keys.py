"""The keys of a lab file that describe quantum devices mean what their descriptions say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from math import exp, expm1, inf

import pytest

from deploy.lab import Lab
from deploy.presets import MEMORIES, NODES, SCHEMES, SOURCES, dephasing_of
from shared_state.config import (
    DetectorConfig,
    DoubleClickSource,
    GateConfig,
    MemoryConfig,
    PhotonPairSource,
    PulseConfig,
    SingleClickSource,
    TapConfig,
    WernerSource,
)
from shared_state.engine.aging import relaxation

ReadLab = Callable[[str], Lab]
Problems = Callable[[str], list[str]]
HEAD = "nodes: {alice: , bob: }\nlinks:\n- endpoints: [alice, bob]\n  length: 20 km\n"


def source(keys: str) -> str:
    return f"{HEAD}  source: {{{keys}}}\n"


def test_every_key_of_a_memory_reaches_the_device(read: ReadLab) -> None:
    memory = (
        "{count: 3, t2: 85 ms, dephasing: gaussian, depolarising_time: 62 ms, "
        "initialisation_fidelity: 0.9, cutoff: 20 ms, attempt_dephasing: 1 %}"
    )
    devices = read(f"nodes: {{a: {{memories: {memory}, storage: {{count: 2, t1: 1 s}}}}}}").nodes["a"].devices
    assert devices.memories == MemoryConfig(3, inf, 0.085, "gaussian", 0.062, 0.9, 0.02, 0.01)
    assert devices.storage == MemoryConfig(2, 1.0, 2.0)


def test_a_node_without_storage_keys_has_no_storage(read: ReadLab) -> None:
    assert read("nodes: {a: }").nodes["a"].devices.storage is None


def test_every_key_of_the_gates_reaches_the_device(read: ReadLab) -> None:
    gates = (
        "{single_fidelity: 0.99, two_fidelity: 0.9, two_qubit_noise: each, readout_error_0: 5 %, "
        "readout_error_1: 0.5 %, bell_success: 50 %, single_duration: 5 ns, two_duration: 500 us, "
        "readout_duration: 3.7 us, initialisation_duration: 2 us}"
    )
    found = read(f"nodes: {{a: {{gates: {gates}}}}}").nodes["a"].devices.gates
    expected = (0.99, 0.9, 0.05, 0.005, 0.5, 5e-9, 5e-4, 3.7e-6, 2e-6)
    values = [getattr(found, field.name) for field in fields(GateConfig) if field.name != "two_qubit_noise"]
    assert values == pytest.approx(expected)
    assert found.two_qubit_noise == "each"


@pytest.mark.parametrize("name", sorted(MEMORIES))
def test_a_memory_preset_is_physical_and_its_keys_can_be_replaced(read: ReadLab, name: str) -> None:
    text = f"defaults: {{memories: {{preset: {name}}}}}\nnodes: {{a: , b: {{memories: {{t2: 1 us}}}}}}"
    nodes = read(text).nodes
    preset = nodes["a"].devices.memories
    assert {key: getattr(preset, key) for key in MEMORIES[name]} == MEMORIES[name]
    relaxation(preset.t1, preset.t2, 1.0)  # refuses what no memory can do
    assert nodes["b"].devices.memories.t2 == 1e-6
    assert nodes["b"].devices.memories.t1 == preset.t1


@pytest.mark.parametrize("name", sorted(NODES))
def test_the_hardware_of_a_node_is_its_platform_unless_a_key_says_otherwise(read: ReadLab, name: str) -> None:
    text = f"kinds: {{k: {{hardware: {name}}}}}\nnodes: {{a: {{kind: k, gates: {{two_fidelity: 0.5}}}}}}"
    devices = read(text).nodes["a"].devices
    assert {key: getattr(devices.memories, key) for key in NODES[name]["memories"]} == NODES[name]["memories"]
    assert devices.gates.two_fidelity == 0.5
    assert (devices.storage is None) == (not NODES[name]["storage"])


@pytest.mark.parametrize("attempts", [1.0, 273.0, 1400.0, 5300.0])
def test_the_coherence_is_one_over_e_after_so_many_attempts(attempts: float) -> None:
    assert (1 - 2 * dephasing_of(attempts)) ** attempts == pytest.approx(exp(-1), abs=1e-12)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("rate: 2 kHz, fidelity: 0.9", WernerSource(rate=2e3, fidelity=0.9)),
        (
            "scheme: single-click, attempt_rate: 200 kHz, alpha: [0.1, 0.2], emission: 0.0046, visibility: 0.9, "
            "dark_count_probability: 0.00001, phase_deviation: 0.35 rad, double_excitation: 6 %, midpoint: 5 km, "
            "multiplexed: true",
            SingleClickSource(
                "single-click", 2e5, (0.1, 0.2), (0.0046, 0.0046), 0.9, 1e-5, 0.35, 0.06, 5e3, True
            ),
        ),
        (
            "scheme: double-click, emission: [0.1, 0.3], visibility: 89 %",
            DoubleClickSource(emission=(0.1, 0.3), visibility=0.89),
        ),
        (
            "scheme: pair-source, pair_probability: 0.05, fidelity: 0.95, midpoint: 0 km, memories: false",
            PhotonPairSource(pair_probability=0.05, fidelity=0.95, midpoint=0.0, memories=False),
        ),
    ],
)
def test_each_scheme_of_a_source_takes_its_own_keys(read: ReadLab, keys: str, expected: object) -> None:
    assert read(source(keys)).links["alice-bob"].devices.source == expected


@pytest.mark.parametrize(("rate", "window"), [("1 Hz", 25e-9), ("20 Hz", 25e-9), ("1 MHz", 1e-6)])
def test_dark_counts_per_window_become_a_probability(read: ReadLab, rate: str, window: float) -> None:
    keys = f"scheme: double-click, dark_count: {rate}, window: {window * 1e9:g} ns"
    found = read(source(keys)).links["alice-bob"].devices.source
    hertz = {"1 Hz": 1.0, "20 Hz": 20.0, "1 MHz": 1e6}[rate]
    assert isinstance(found, DoubleClickSource)
    assert found.dark_count_probability == pytest.approx(-expm1(-hertz * window), rel=1e-9)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_the_hardware_of_a_source_brings_its_scheme(read: ReadLab, name: str) -> None:
    found = read(source(f"hardware: {name}, visibility: 0.5")).links["alice-bob"].devices.source
    assert isinstance(found, SCHEMES[SOURCES[name]["scheme"]])
    assert {**SOURCES[name], "visibility": 0.5} == {
        key: getattr(found, key) for key in {**SOURCES[name], "visibility": 0}
    }


def test_every_key_of_the_pulses_reaches_the_devices(read: ReadLab) -> None:
    qkd = (
        "{pulse_rate: 1 GHz, intensities: [0.5, 0.1, 0.0002], intensity_probabilities: [0.8, 0.1, 0.1], "
        "basis_probability: 0.9, encoding: time-bin, misalignment: 0.5 %, visibility: 0.98, detectors: {efficiency: "
        "0.2, dark_count: 100 Hz, dead_time: 50 ns, afterpulse_probability: 1 %}}"
    )
    found = read(f"{HEAD}  qkd: {qkd}\n").links["alice-bob"].devices.pulses
    dark = found.detectors.dark_count_probability
    assert dark == pytest.approx(-expm1(-100 / 1e9), rel=1e-9)
    assert found == PulseConfig(
        1e9,
        (0.5, 0.1, 0.0002),
        (0.8, 0.1, 0.1),
        0.9,
        "time-bin",
        0.005,
        0.98,
        DetectorConfig(0.2, dark, 50 * 1e-9, 0.01),
    )


def test_intensities_without_probabilities_are_all_alike(read: ReadLab) -> None:
    found = read(f"{HEAD}  qkd: {{intensities: [0.5, 0.1]}}\n").links["alice-bob"].devices.pulses
    assert found.intensity_probabilities == (0.5, 0.5)


def test_every_key_of_a_tap_reaches_it(read: ReadLab) -> None:
    tap = "{link: alice-bob, at: 1 km, strategy: photon-number-splitting, fraction: 0.5, basis: Y, blocking: 0.25}"
    found = read(f"{HEAD}taps: {{eve: {tap}}}\n").taps["eve"]
    assert found == TapConfig("alice-bob", "photon-number-splitting", 0.5, "Y", 0.25, 1000.0, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            source("scheme: single-click, rate: 1 kHz"),
            "5:34: a source with the scheme single-click has no rate",
        ),
        (source("alpha: 0.1"), "5:12: a source with the scheme werner has no alpha"),
        (source("scheme: double-click, dark_count: 1 Hz"), "dark_count without window"),
        (source("scheme: double-click, window: 1 ns"), "window without dark_count"),
        (source("scheme: single-click, alpha: [0.1]"), "neither one value nor a list of two"),
        (source("scheme: single-click, midpoint: 21 km"), "beyond the end of the fibre"),
        (source("scheme: single-click, alpha: 0"), "no superposition"),
        (source("scheme: single-click, alpha: 100 %"), "no superposition"),
        (source("scheme: single-click, alpha: [0.1, 0]"), "no superposition"),
        (source("scheme: single-click, alpha: 1.1"), "alpha: '1.1' is too large; write alpha: at most 1"),
        (source("scheme: single-click, emission: [1, 2]"), "emission: '2' is too large"),
        (source("scheme: single-click, visibility: 101 %"), "visibility: '101 %' is too large"),
        (
            source("scheme: single-click, dark_count_probability: 2"),
            "dark_count_probability: '2' is too large",
        ),
        (source("scheme: single-click, double_excitation: 1.5"), "double_excitation: '1.5' is too large"),
        (source("scheme: single-click, attempt_rate: 0 Hz"), "attempt_rate: '0 Hz' is too small"),
        (source("scheme: pair-source, pair_probability: 2"), "pair_probability: '2' is too large"),
        (source("rate: 0 kHz"), "rate: '0 kHz' is too small"),
        (source("fidelity: 0.2"), "fidelity: '0.2' is too small; write fidelity: at least 0.25"),
        (source("hardware: nv, scheme: double-click"), "works by single-click, not by double-click"),
        (f"{HEAD}  qkd: {{intensities: [1, 2], intensity_probabilities: [1]}}\n", "1 probabilities for 2"),
        (
            f"{HEAD}  qkd: {{intensities: [1, 2], intensity_probabilities: [0.5, 0.4]}}\n",
            "the probabilities add up to 0.9",
        ),
        (
            f"{HEAD}  qkd: {{detectors: {{dark_count: 1 Hz, dark_count_probability: 0}}}}\n",
            "both dark_count and dark_count_probability",
        ),
        (
            "nodes: {a: {memories: {preset: nv-electron-dahlberg, t2: 6 ms}}}",
            "1:58: the t2 of 6 ms is more than",
        ),
        ("nodes: {a: {storage: {t1: 1 s, t2: 3 s}}}", "1:36: the t2 of 3 s is more than twice"),
        ("nodes: {a: {memories: {dephasing: gaussian, t1: 1 s}}}", "gaussian dephasing has no t1"),
        ("nodes: {a: {memories: {attempt_dephasing: 0.6}}}", "0.6 is out of range; write 0 to 0.5"),
        ("nodes: {a: {memories: {initialisation_fidelity: 0.4}}}", "0.4 is out of range; write 0.5 to 1"),
        (
            "nodes: {a: {gates: {readout_fidelity: 0.9, readout_error_1: 0}}}",
            "both readout_fidelity and readout_e",
        ),
        ("nodes: {a: {memories: {cutoff: 0 s}}}", "cutoff: '0 s' is too small"),
    ],
)
def test_devices_that_cannot_be_are_refused_with_what_to_write(
    problems: Problems, text: str, expected: str
) -> None:
    told = problems(text)
    assert any(expected in each for each in told), told
