"""Key rates agree with papers and with the quantum world, and would not if they were others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nodes.validation import key_rates
from nodes.validation.sections import KEY_SECTIONS
from shared_state.validation.comparison import Comparison
from shared_state.validation.findings import Findings
from shared_state.validation.summary import summaries

REPORT = Path(__file__).parents[3] / "docs/physics"
SAMPLED = 25
"""Of all comparisons that may share the false-alarm probability of the report, so many are these."""


@pytest.fixture(scope="module")
def found() -> Mapping[str, Findings]:
    """Everything, once."""
    return {name: asyncio.run(section(1)) for name, section in KEY_SECTIONS.items()}


def seen_at(km: float, clicks: int, monkeypatch: pytest.MonkeyPatch) -> list[Comparison]:
    monkeypatch.setattr(key_rates, "CLICKS", clicks)
    monkeypatch.setattr(key_rates, "DISTANCES_KM", (km,))
    return asyncio.run(key_rates.key_rates(1)).comparisons


def test_a_receiver_with_a_memory_counts_what_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five sampled numbers, each fails by chance with a probability below 4e-9."""
    comparisons = seen_at(25.0, 40_000, monkeypatch)
    assert [comparison.kind for comparison in comparisons].count("sampled") == 5
    assert [comparison for comparison in comparisons if not comparison.passed] == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"dead_time": 22e-9}, "clicks per pulse with dead time and after-pulses"),
        ({"afterpulse_probability": 0.05}, "QBER of the key basis"),
        ({"dark_count_probability": 1e-3}, "QBER of the key basis"),
    ],
)
def test_another_receiver_is_noticed(
    change: dict[str, float], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link_of = key_rates.link_of
    monkeypatch.setattr(key_rates, "link_of", lambda km: replace(link_of(km), **change))
    comparisons = seen_at(0.0, 100_000, monkeypatch)
    assert name in {comparison.name for comparison in comparisons if not comparison.passed}


@pytest.mark.thorough
@pytest.mark.parametrize("name", KEY_SECTIONS)
def test_every_comparison_of_a_section_agrees(name: str, found: Mapping[str, Findings]) -> None:
    comparisons = found[name].comparisons
    assert comparisons
    assert [comparison for comparison in comparisons if not comparison.passed] == []
    assert {comparison.section for comparison in comparisons} == {name}
    assert [comparison.kind for comparison in comparisons].count("sampled") in (0, SAMPLED)


@pytest.mark.thorough
@pytest.mark.parametrize("name", KEY_SECTIONS)
def test_the_plots_show_theory_and_what_it_is_compared_with(name: str, found: Mapping[str, Findings]) -> None:
    # the asymptotic plot has nothing to be compared with but the reach
    kinds = {curve.kind for plot in found[name].plots for curve in plot.curves}
    assert kinds == {"theory", "measured"}
    assert all(len(c.x) == len(c.y) > 0 for plot in found[name].plots for c in plot.curves)


@pytest.mark.thorough
def test_the_report_in_the_repository_has_every_formula_and_plot(found: Mapping[str, Findings]) -> None:
    report = (REPORT / "report.md").read_text(encoding="utf-8")
    for findings in found.values():
        for summary in summaries(findings.comparisons):
            row = f"| {summary.furthest.name} | {summary.furthest.source} | {len(summary.comparisons)} |"
            assert row in report
        for plot in findings.plots:
            assert f"({plot.name}.svg)" in report
            assert (REPORT / f"{plot.name}.svg").is_file()


@pytest.mark.thorough
def test_keys_of_the_quantum_world_are_made_at_every_distance_but_the_last_may_fail(
    found: Mapping[str, Findings],
) -> None:
    (rates,) = (plot for plot in found["key-rates"].plots if plot.name == "key-rates")
    (measured,) = (curve for curve in rates.curves if curve.kind == "measured")
    assert len(measured.x) >= len(key_rates.DISTANCES_KM) - 1
    assert list(measured.y) == sorted(measured.y, reverse=True)
