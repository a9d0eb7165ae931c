"""The quantum world agrees with every closed form, and would not if it were another world."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from shared_state.config import DetectorConfig, FibreConfig, GateConfig, MemoryConfig, WernerSource
from shared_state.validation.comparison import SAMPLED_AT_MOST
from shared_state.validation.findings import Findings
from shared_state.validation.heralding import FIBRE
from shared_state.validation.sections import SECTIONS
from shared_state.validation.summary import summaries

pytestmark = pytest.mark.thorough

REPORT = Path(__file__).parents[3] / "docs/physics"


@pytest.fixture(scope="module")
def found() -> Mapping[str, Findings]:
    """Everything, once."""
    return {name: asyncio.run(section(1)) for name, section in SECTIONS.items()}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_comparison_of_a_section_agrees(name: str, found: Mapping[str, Findings]) -> None:
    comparisons = found[name].comparisons
    assert comparisons
    assert [comparison for comparison in comparisons if not comparison.passed] == []
    assert {comparison.section for comparison in comparisons} == {name}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_has_a_plot_of_theory_and_of_what_was_measured(
    name: str, found: Mapping[str, Findings]
) -> None:
    assert found[name].plots
    for plot in found[name].plots:
        assert {curve.kind for curve in plot.curves} == {"theory", "measured"}
        assert all(len(curve.x) == len(curve.y) > 0 for curve in plot.curves)


def test_no_more_sampled_comparisons_than_share_the_false_alarm_probability(
    found: Mapping[str, Findings],
) -> None:
    kinds = [comparison.kind for findings in found.values() for comparison in findings.comparisons]
    assert 0 < kinds.count("sampled") <= SAMPLED_AT_MOST


def test_the_report_in_the_repository_has_every_formula_and_plot(found: Mapping[str, Findings]) -> None:
    report = (REPORT / "report.md").read_text(encoding="utf-8")
    for findings in found.values():
        for summary in summaries(findings.comparisons):
            name = summary.furthest.name.replace("|", "\\|")
            assert f"| {name} | {summary.furthest.source} | {len(summary.comparisons)} |" in report
        for plot in findings.plots:
            assert f"({plot.name}.svg)" in report
            assert (REPORT / f"{plot.name}.svg").is_file()
    assert "disagrees |" not in report


def lossier(*args: float, **fields: float) -> FibreConfig:
    fibre = FibreConfig(*args, **fields)
    return replace(fibre, attenuation_db_per_km=1.2 * fibre.attenuation_db_per_km)


def longer_lived(**fields: float) -> MemoryConfig:
    memory = MemoryConfig(**fields)  # type: ignore[arg-type]
    return (
        replace(memory, depolarising_time=1e9) if memory.t2 > 1e9 else replace(memory, t2=memory.t2 * 0.999)
    )


def worse_gates(**fields: float) -> GateConfig:
    return replace(GateConfig(**fields), single_fidelity=0.98)  # type: ignore[arg-type]


def worse_pairs(**fields: float) -> WernerSource:
    source = WernerSource(**fields)  # type: ignore[arg-type]
    return replace(source, fidelity=source.fidelity - 1e-6)


def keeps_more(**fields: float) -> MemoryConfig:
    memory = MemoryConfig(**fields)  # type: ignore[arg-type]
    return replace(memory, cutoff=1.01 * memory.cutoff, attempt_dephasing=0.99 * memory.attempt_dephasing)


def forgets(**fields: float) -> MemoryConfig:
    memory = MemoryConfig(**fields)  # type: ignore[arg-type]
    return replace(memory, t2=0.999 * memory.t2)


def clicks_more(**fields: float) -> DetectorConfig:
    return replace(DetectorConfig(**fields), efficiency=0.19)


MUTATIONS: Mapping[str, tuple[str, Callable[..., object] | FibreConfig]] = {
    "fibre": ("FibreConfig", lossier),
    "memory": ("MemoryConfig", longer_lived),
    "attempts": ("MemoryConfig", keeps_more),
    "cutoff": ("MemoryConfig", keeps_more),
    "operations": ("GateConfig", worse_gates),
    "correlations": ("WernerSource", worse_pairs),
    "nonlocality": ("MemoryConfig", forgets),
    "swapping": ("WernerSource", worse_pairs),
    "heralding": ("FIBRE", replace(FIBRE, length=FIBRE.length * 1.001)),
    "purification": ("WernerSource", worse_pairs),
    "distillation": ("FIBRE", replace(FIBRE, length=FIBRE.length * 1.001)),
    "chains": ("WernerSource", worse_pairs),
    "capacity": ("FibreConfig", lossier),
    "pulses": ("FibreConfig", lossier),
    "detectors": ("DetectorConfig", clicks_more),
}
SMALLER: Mapping[str, Mapping[str, object]] = {
    "attempts": {"TRIALS": 20},
    "cutoff": {"RACES": 100},
    "nonlocality": {"SHOTS": 10, "PAIRS": 1000},
    "distillation": {"TRIALS": 10},
    "detectors": {"DEAD_PERIODS": (1,), "CHAINS": ()},
    "purification": {"FIDELITIES": (0.8,), "TRIALS": 10},
    "chains": {"FIDELITIES": (0.9,), "ROUNDS": 100, "PAIRS": 1000},
    "pulses": {"DISTANCES_KM": (0.0, 50.0)},
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_world_whose_devices_are_not_what_was_asked_for_is_noticed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, mutant = MUTATIONS[name]
    module = f"shared_state.validation.{name}"
    monkeypatch.setattr(f"{module}.{target}", mutant)
    for constant, value in SMALLER.get(name, {}).items():
        monkeypatch.setattr(f"{module}.{constant}", value)
    findings = asyncio.run(SECTIONS[name](1))
    assert [comparison for comparison in findings.comparisons if not comparison.passed]
