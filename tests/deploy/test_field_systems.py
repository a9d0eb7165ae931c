"""The links of the lab of field systems make the keys that are published of them, and other links would not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import field_systems as section
from deploy.cli.validate_physics import SECTIONS
from deploy.topology import find, load
from nodes.validation import field_systems
from nodes.validation.field_systems import PUBLISHED
from shared_state.config import LinkDevices, WernerSource
from shared_state.validation.comparison import Comparison
from shared_state.validation.findings import Findings
from shared_state.validation.summary import summaries

REPORT = Path(__file__).parents[2] / "docs/physics"


def devices(name: str) -> LinkDevices:
    return load(find(section.NAME)).links[name].devices


def compared(name: str, link: LinkDevices, monkeypatch: pytest.MonkeyPatch) -> list[Comparison]:
    monkeypatch.setattr(field_systems, "PUBLISHED", {name: PUBLISHED[name]})
    return asyncio.run(field_systems.field_systems({name: link}, 2)).comparisons


def test_every_link_of_the_lab_has_a_published_rate_and_every_rate_a_link() -> None:
    assert load(find(section.NAME)).links.keys() == PUBLISHED.keys()
    assert SECTIONS[section.NAME] is section.compare


@pytest.mark.parametrize("name", ["li-2023", "micius"])
def test_a_link_makes_what_is_published(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    comparisons = compared(name, devices(name), monkeypatch)
    assert [comparison for comparison in comparisons if not comparison.passed] == []
    assert [comparison.kind for comparison in comparisons] == ["exact", "exact", "bound"]


def less_efficient(link: LinkDevices) -> LinkDevices:
    detectors = replace(link.pulses.detectors, efficiency=link.pulses.detectors.efficiency / 2)
    return replace(link, pulses=replace(link.pulses, detectors=detectors))


def misaligned(link: LinkDevices) -> LinkDevices:
    return replace(link, pulses=replace(link.pulses, misalignment=link.pulses.misalignment + 0.02))


def longer(link: LinkDevices) -> LinkDevices:
    return replace(link, fibre=replace(link.fibre, length=link.fibre.length + 20e3))


@pytest.mark.parametrize(
    ("name", "change", "noticed"),
    [
        ("li-2023", less_efficient, {"expected key rate", "counted key rate"}),
        ("li-2023", longer, {"expected key rate", "counted key rate"}),
        ("nec-nict", misaligned, {"expected key rate", "counted key rate", "QBER"}),
        ("thuringia", longer, {"expected key rate", "counted key rate"}),
    ],
)
def test_another_link_is_noticed(
    name: str,
    change: Callable[[LinkDevices], LinkDevices],
    noticed: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    comparisons = compared(name, change(devices(name)), monkeypatch)
    failed = {comparison.name for comparison in comparisons if not comparison.passed}
    assert {what.removeprefix(f"{name}: ").removesuffix(" over the published") for what in failed} == noticed


def test_a_source_whose_rate_no_fibre_enters_is_refused() -> None:
    link = replace(devices("micius"), source=WernerSource())
    with pytest.raises(ValueError, match="scheme werner"):
        asyncio.run(field_systems.rates(link, 1e6, 1))


@pytest.fixture(scope="module")
def found() -> Findings:
    """The whole section, once."""
    return asyncio.run(section.compare(1))


@pytest.mark.thorough
def test_all_systems_agree_with_their_publications(found: Findings) -> None:
    assert [comparison for comparison in found.comparisons if not comparison.passed] == []
    assert {comparison.section for comparison in found.comparisons} == {section.NAME}
    (plot,) = found.plots
    assert {curve.kind for curve in plot.curves} == {"theory", "measured"}


@pytest.mark.thorough
def test_the_report_in_the_repository_has_every_system(found: Findings) -> None:
    report = (REPORT / "report.md").read_text(encoding="utf-8")
    for summary in summaries(found.comparisons):
        assert (
            f"| {summary.furthest.name} | {summary.furthest.source} | {len(summary.comparisons)} |" in report
        )
    assert (REPORT / f"{section.NAME}.svg").is_file()


def test_rates_are_those_of_the_publications() -> None:
    assert PUBLISHED["toshiba-2015"].rate == pytest.approx(299e3, rel=1e-3)
    assert max(each.within for each in PUBLISHED.values()) == 0.5
